"""Prompts and the verifiers that grade answers to them, one task a file; name one with `resolve_task("countdown")`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlkit.plugins import PluginKind, resolve
from rlkit.types import PluginSpec

if TYPE_CHECKING:
    from rlkit.types import Task

TASKS = PluginKind("task", "rlkit.tasks", {"countdown": "rlkit.tasks.countdown:Countdown"})


def resolve_task(spec: PluginSpec) -> Task:
    """Return the task a recipe names: `"countdown"`, `{name: countdown, format: chat}`, `file.py:Thing` or an object.

    Raises:
        PluginError: nothing of that name, or parameters it does not have.
        ConfigError: a parameter's value is not allowed.
    """
    task: Task = resolve(spec, TASKS)
    return task
