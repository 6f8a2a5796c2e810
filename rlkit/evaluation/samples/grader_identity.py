"""What a grader is identified by, apart from what identifies the samples that it grades."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rlkit import __version__
from rlkit.evaluation.configuration import describe_spec, digest_of
from rlkit.evaluation.directory import labels_are_pending
from rlkit.types import PluginSpec, Task


def describe_grader(
    task: Task, spec: PluginSpec, thinking_tag: str | None, partition: PluginSpec = None
) -> dict[str, Any]:
    """Return the `grader` entry of config.json: task spec, digest of the verifier's source, and settings."""
    return {
        "task": describe_spec(spec),
        "verifier": verifier_digest(task),
        "rlkit": __version__,
        "thinking_tag": thinking_tag,
        "partition": None if partition is None else describe_spec(partition),
    }


def verifier_digest(task: Task) -> str:
    """Return sixteen digits of the source of a task's module and of all it uses from its own package or folder.

    Modules that are imported inside functions, and installed packages, are not looked into.
    """
    home = sys.modules.get(type(task).__module__)
    files = sorted(_own_files(home)) if home is not None else []
    return digest_of([[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files])


def grades_alike(stored: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Return whether two graders give the same labels; a directory of old, which names none, is taken on trust."""
    if stored is None:
        return True
    return not labels_are_pending(stored) and all(
        stored.get(name) == wanted[name] for name in ("task", "verifier", "thinking_tag")
    )


def _own_files(home: ModuleType) -> set[Path]:
    top = home.__name__.partition(".")[0]
    seen: set[str] = set()
    found: set[Path] = set()
    waiting = [home]
    while waiting:
        module = waiting.pop()
        file = getattr(module, "__file__", None)
        if module.__name__ in seen or file is None or not Path(file).is_file():
            continue
        seen.add(module.__name__)
        found.add(Path(file))
        names = {
            value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            for value in vars(module).values()
        }
        waiting += [sys.modules[str(name)] for name in names if _is_own(name, top)]
    return found


def _is_own(name: object, top: str) -> bool:
    return isinstance(name, str) and name in sys.modules and (name == top or name.startswith(f"{top}."))
