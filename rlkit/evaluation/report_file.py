"""Reading a report.json back, and refusing one that was damaged by hand in a sentence that names the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.store import REPORT, read_json

Report = Mapping[str, Any]
"""What report.json holds."""

_TOP = ("name", "model", "n", "config_hash", "sampling", "problems")
_MAYBE_COUNTS = ("num_truncated",)
"""Counts that are null where samples come from a tool whose log does not hold them."""
_COUNTS = ("num_samples", "num_correct", "num_unscored", "num_distinct_correct")
_NUMBERS = ("num_solutions", "answer_entropy", "token_entropy", "surprisal", "num_tokens")


def read_report(directory: str | Path) -> dict[str, Any]:
    """Return the report of an evaluation directory, or of the evaluation in a training run's `eval` folder.

    Raises:
        StoreError: there is none, it is not readable, or it is not what `rlkit eval` writes.
    """
    directory = Path(directory).expanduser()
    in_run = directory / "eval" / REPORT
    path = in_run if in_run.exists() and not (directory / REPORT).exists() else directory / REPORT
    report = read_json(path)
    missing = [key for key in _TOP if key not in report]
    if missing:
        raise StoreError(f"{path} is not the report of an evaluation: it has no {missing[0]!r}; run rlkit eval again.")
    fault = find_fault(report)
    if fault:
        raise StoreError(f"{path} was changed after rlkit eval wrote it: {fault}; run rlkit eval again to rebuild it.")
    return report


def find_fault(report: Report) -> str | None:
    """Return what in a report cannot be, or None: counts that do not add up, or something else in a number's place."""
    if not _is_count(report["n"]) or report["n"] < 1:
        return f"n is {report['n']!r}, not a number of samples"
    if not isinstance(report["sampling"], Mapping):
        return "sampling is not an object"
    problems = report["problems"]
    if not isinstance(problems, Sequence) or isinstance(problems, str) or not problems:
        return "problems is not a list of problems"
    seen: set[str] = set()
    for at, problem in enumerate(problems):
        fault = _fault_of_problem(problem)
        if fault:
            return f"problem {at} {fault}"
        if problem["id"] in seen:
            return f"the id {problem['id']!r} is there twice"
        seen.add(problem["id"])
    return None


def _fault_of_problem(problem: object) -> str | None:
    if not isinstance(problem, Mapping):
        return "is not an object"
    for key in ("id", "prompt", *_COUNTS, *_MAYBE_COUNTS, *_NUMBERS, "classes", "verdicts"):
        if key not in problem:
            return f"has no {key!r}"
    if not isinstance(problem["id"], str):
        return f"has the id {problem['id']!r}, not a text"
    for key in _COUNTS:
        if not _is_count(problem[key]):
            return f"has {key} {problem[key]!r}, not a count"
    for key in _MAYBE_COUNTS:
        if problem[key] is not None and not _is_count(problem[key]):
            return f"has {key} {problem[key]!r}, neither a count nor null"
    for key in _NUMBERS:
        if not _is_number(problem[key]):
            return f"has {key} {problem[key]!r}, not a number"
    classes = problem["classes"]
    if not isinstance(classes, Mapping) or not all(_is_count(count) for count in classes.values()):
        return "has classes that are not counts"
    if problem["num_correct"] > problem["num_samples"] or sum(classes.values()) > problem["num_samples"]:
        return "has more correct samples than samples"
    return _fault_of_diversity(problem.get("diversity"))


def _fault_of_diversity(diversity: object) -> str | None:
    if diversity is None:
        return None
    if not isinstance(diversity, Mapping):
        return "has a diversity that is not an object"
    for part in ("all", "correct"):
        values = diversity.get(part) or {}
        if not isinstance(values, Mapping) or not all(_is_number(value) for value in values.values()):
            return f"has a diversity of {part} outputs that is not a list of numbers"
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
