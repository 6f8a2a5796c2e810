"""Prompts and the verifiers that grade answers to them, one task a file; name one with `resolve_task("countdown")`."""

from __future__ import annotations

from rlkit.errors import PluginError
from rlkit.plugins import PluginKind, resolve
from rlkit.types import PluginSpec, Task

_HERE = "rlkit.tasks"

YAML_SUFFIXES = (".yaml", ".yml")
"""How the name of a task file ends."""

TASKS = PluginKind(
    "task",
    "rlkit.tasks",
    {
        "aime24": f"{_HERE}.benchmarks:aime24",
        "aime25": f"{_HERE}.benchmarks:aime25",
        "amc23": f"{_HERE}.benchmarks:amc23",
        "countdown": f"{_HERE}.countdown:Countdown",
        "gsm8k": f"{_HERE}.benchmarks:gsm8k",
        "humaneval": f"{_HERE}.code:HumanEval",
        "jsonl": f"{_HERE}.own_data:own_data",
        "math500": f"{_HERE}.benchmarks:math500",
        "mbpp": f"{_HERE}.code:Mbpp",
        "minerva": f"{_HERE}.benchmarks:minerva",
        "olympiadbench": f"{_HERE}.benchmarks:olympiadbench",
        "reasoning_gym": f"{_HERE}.reasoning_gym:ReasoningGym",
    },
)


def resolve_task(spec: PluginSpec) -> Task:
    """Return the task a recipe names.

    Args:
        spec: `"countdown"`, `{name: countdown, format: chat}`, `task.yaml`, `file.py:Thing` or an object.

    Raises:
        PluginError: nothing of that name, parameters it does not have, or no task.
        ConfigError: a parameter's value is not allowed.
    """
    if isinstance(spec, str) and spec.endswith(YAML_SUFFIXES):
        from rlkit.tasks.own_data import read_task_file

        spec = read_task_file(spec, TASKS.builtins)
    task = resolve(spec, TASKS)
    if not isinstance(task, Task):
        raise PluginError(f"The task {spec!r} is {task!r}, which lacks one of name, load(), grade() and validate().")
    return task


_ABOUT = {
    "countdown": "combine numbers to reach a target; every solution known, nothing downloaded",
    "humaneval": "164 Python functions to complete, judged by hidden tests (openai/openai_humaneval)",
    "jsonl": "data of your own: path or hub, prompt, gold, verifier",
    "mbpp": "short Python functions, judged by three tests each (google-research-datasets/mbpp)",
    "reasoning_gym": "puzzles of many kinds from a seed, scored by their own scorers; dataset: chain_sum, ...",
}


def describe_task(name: str) -> str:
    """Return one line about a built-in task; nothing about those of installed packages."""
    from rlkit.tasks.benchmarks import BENCHMARKS

    if name in BENCHMARKS:
        return f"{BENCHMARKS[name].about} ({BENCHMARKS[name].task.hub})"
    return _ABOUT.get(name, "")
