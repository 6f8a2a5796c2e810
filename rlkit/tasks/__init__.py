"""Prompts and the verifiers that grade answers to them, one task a file; name one with `resolve_task("countdown")`."""

from __future__ import annotations

from rlkit.errors import PluginError
from rlkit.plugins import PluginKind, resolve
from rlkit.types import PluginSpec, Task

TASKS = PluginKind("task", "rlkit.tasks", {"countdown": "rlkit.tasks.countdown:Countdown"})


def resolve_task(spec: PluginSpec) -> Task:
    """Return the task a recipe names: `"countdown"`, `{name: countdown, format: chat}`, `file.py:Thing` or an object.

    Raises:
        PluginError: nothing of that name, parameters it does not have, or no task.
        ConfigError: a parameter's value is not allowed.
    """
    task = resolve(spec, TASKS)
    if not isinstance(task, Task):
        raise PluginError(f"The task {spec!r} is {task!r}, which lacks one of name, load(), grade() and validate().")
    return task
