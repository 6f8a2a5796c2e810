"""The problems of an evaluation that was kept, from the task that gave them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkit.errors import PluginError, StoreError
from rlkit.evaluation.configuration import EvaluationConfig, prompts_digest
from rlkit.evaluation.samples.logs import HARNESS, LIGHTEVAL
from rlkit.plugins import find_code
from rlkit.tasks import resolve_task
from rlkit.tasks.rows import load_rows
from rlkit.types import PluginSpec, Row, Task


def load_problems(
    source: Path, header: Mapping[str, Any], task: PluginSpec | None
) -> tuple[PluginSpec, Task, list[Row]]:
    """Return the task of an evaluation as it is named and as it is, and the problems that samples were drawn of.

    Args:
        source: directory of the evaluation.
        header: what its config.json holds.
        task: what the user names; None takes the one that graded before, unless it is code of its own: what a directory
            says is nobody's order to run something.

    Raises:
        StoreError: the directory names code, was imported from another tool, or the task gives other problems.
        PluginError: the task does not exist.
    """
    if header["config"]["engine"] in (HARNESS, LIGHTEVAL):
        raise StoreError(
            f"{source} was imported from {header['config']['engine']}, whose problems rlkit cannot load; "
            "import the log again with --verifier to grade it anew."
        )
    spec = task if task is not None else (header.get("grader") or {}).get("task", header["config"]["task"])
    if task is None and (code := find_code(spec)):
        raise StoreError(
            f"{source} names {code!r}, which is code; if you trust it, name the task yourself with --task "
            f"{shlex.quote(spec if isinstance(spec, str) else json.dumps(spec))}."
        )
    resolved = _resolve(spec, source, given=task is not None)
    config = EvaluationConfig.from_json(header["config"])
    rows = load_rows(resolved, config.split)[: config.limit]
    if prompts_digest(rows) != config.prompts_digest:
        raise StoreError(
            f"The task {resolved.name!r} gives other problems than those that {source} holds samples of; name a task "
            "whose problems are the same and whose verifier may differ."
        )
    return spec, resolved, rows


def _resolve(spec: PluginSpec, source: Path, given: bool) -> Task:
    try:
        return resolve_task(spec)
    except PluginError as error:
        if given:
            raise
        raise PluginError(
            f"The task of {source} cannot be had again: {str(error).rstrip('.')}; name it with --task."
        ) from error
