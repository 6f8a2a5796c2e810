"""The one reader of an evaluation directory, which refuses what was damaged in a sentence that names the place.

    DIR/config.json     the configuration and its digest, and the grader apart from it
    DIR/samples.jsonl   see `samples.reading`
    DIR/report.json     metrics, recomputed from the samples
    DIR/probe.json      what `rlkit probe` found, where it ran

What older versions wrote under other names is read under today's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.files import read_json
from rlkit.parameters import show
from rlkit.terminal import show_controls

CONFIG, REPORT, PROBE = "config.json", "report.json", "probe.json"

MOST_SAMPLES = 1 << 16
"""Samples a prompt; pass@k of every k up to their number is in the report."""

EvaluationReport = Mapping[str, Any]
"""What report.json holds."""

LABELS, CLASSES = "labels", "classes"
"""What config.json calls `pending` while samples.jsonl is replaced; an older version called labels `verdicts`."""

_NUMBER = re.compile(r"\d{1,12}(\.\d{1,12})?")
_TOP = ("name", "model", "n", "config_hash", "sampling", "problems")
_MAYBE_COUNTS = ("num_truncated",)
"""Counts that are null where samples come from a tool whose log does not hold them."""
_COUNTS = ("num_samples", "num_correct", "num_unscored", "num_distinct_correct")
_NUMBERS = ("num_solutions", "answer_entropy", "token_entropy", "surprisal", "num_tokens")
_MAYBE_NUMBERS = (
    *("num_tokens_correct", "num_tokens_wrong", "confident_pick", "surprising_pick", "logp_auroc"),
    *("pass_rate_low", "pass_rate_high"),
)
"""Numbers that older reports lack."""
_TABLES = (
    "pass_at_k",
    "distinct_at_k",
    "maj_at_k",
    "pass_hat_k",
    "bayes_pass_at_k",
    "cover_at_tau",
    "metrics",
    "labels",
)
"""Sections of cells; all but the last two by a number."""
_LARGEST = 1e12
_OLD_NAMES = {"variety": "diversity", "verdicts": "labels"}
_CONFIG_KINDS: Mapping[str, tuple[type, ...]] = {
    "model": (str,),
    "model_fingerprint": (str,),
    "task": (str, dict),
    "split": (str,),
    "limit": (int, type(None)),
    "prompts_digest": (str,),
    "n": (int,),
    "engine": (str, dict),
    "sampling": (dict,),
}


def find_evaluation(directory: str | Path) -> Path:
    """Return where an evaluation lies: here, or in the `eval` folder of a training run.

    Raises:
        StoreError: there is none.
    """
    directory = Path(directory).expanduser()
    if not directory.is_dir():
        raise StoreError(f"{directory} is not a directory; name one that rlkit eval or rlkit train wrote.")
    found = _locate(directory)
    if found is None:
        raise StoreError(
            f"{directory} holds no evaluation, nor does its eval folder; write one with rlkit eval --model MODEL "
            f"--task TASK --n N --output {directory / 'eval'}."
        )
    return found


def _is_out_of_range(name: str, config: Mapping[str, Any]) -> bool:
    value = config[name]
    if name == "n":
        return not 1 <= value <= MOST_SAMPLES
    if name == "engine":
        return isinstance(value, dict) and not isinstance(value.get("name"), str)
    return name == "limit" and value is not None and value < 1


def holds_evaluation(directory: str | Path) -> bool:
    """Return whether `find_evaluation` finds one."""
    return _locate(Path(directory).expanduser()) is not None


def read_config(path: str | Path) -> dict[str, Any]:
    """Return config.json of an evaluation: `{"hash": ..., "config": {...}}`, and `"grader"` where it is known.

    Raises:
        StoreError: it cannot be read, or is not what `rlkit eval` writes.
    """
    file = Path(path) / CONFIG
    header = read_json(file)
    config, grader = header.get("config"), header.get("grader")
    if not isinstance(header.get("hash"), str) or not isinstance(config, Mapping):
        raise StoreError(f"{file} is not the configuration of an evaluation; choose another directory.")
    for name, kinds in _CONFIG_KINDS.items():
        if not isinstance(config.get(name), kinds) or isinstance(config[name], bool) or _is_out_of_range(name, config):
            found = show(config[name]) if name in config else "missing"
            raise StoreError(f"{file} was changed after rlkit eval wrote it: {name} is {found}; restore it.")
    if grader is not None and not isinstance(grader, Mapping):
        raise StoreError(f"{file} was changed after rlkit eval wrote it: grader is {show(grader)}; restore it.")
    return header


def read_report(directory: str | Path) -> dict[str, Any]:
    """Return the report of an evaluation directory, or of the evaluation in a training run's `eval` folder.

    Raises:
        StoreError: there is none, it is not readable, or it is not what `rlkit eval` writes.
    """
    folder = find_evaluation(directory)
    path = folder / REPORT
    if (folder / CONFIG).is_file() and labels_are_pending(read_config(folder).get("grader")):
        raise StoreError(
            f"Grading {folder} again was broken off, so its report may not be of its samples; rlkit grade {folder} "
            "finishes it."
        )
    report = _rename_old(read_json(path))
    missing = [key for key in _TOP if key not in report]
    if missing:
        raise StoreError(f"{path} is not the report of an evaluation: it has no {missing[0]!r}; run rlkit eval again.")
    fault = find_fault(report)
    if fault:
        raise StoreError(f"{path} was changed after rlkit eval wrote it: {fault}; run rlkit eval again to rebuild it.")
    # Names are shown everywhere, in terminals too.
    return report | {"name": show_controls(report["name"])}


def labels_are_pending(grader: Mapping[str, Any] | None) -> bool:
    """Return whether a kill has left it open which grader the labels are of."""
    return (grader or {}).get("pending") in (LABELS, "verdicts")


def read_probe(path: str | Path) -> dict[str, Any]:
    """Return probe.json of an evaluation; empty where `rlkit probe` did not run."""
    file = Path(path) / PROBE
    return read_json(file) if file.is_file() else {}


def _locate(directory: Path) -> Path | None:
    folders = (directory, directory / "eval")
    # A model has a config.json too, and `rlkit report` writes a report.json beside its page.
    return next((f for is_one in (_has_header, _has_report) for f in folders if is_one(f)), None)


def _has_header(folder: Path) -> bool:
    if not (folder / CONFIG).is_file():
        return False
    header = read_json(folder / CONFIG)
    return "hash" in header and "config" in header


def _has_report(folder: Path) -> bool:
    return (folder / REPORT).is_file() and "problems" in read_json(folder / REPORT)


def _rename_old(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report, and its problems, under today's names."""
    problems = report.get("problems")
    entries = [entry for entry in problems if isinstance(entry, dict)] if isinstance(problems, list) else []
    for entry in (report, *entries):
        for old, new in _OLD_NAMES.items():
            if old in entry:
                entry.setdefault(new, entry.pop(old))
    return report


def find_fault(report: EvaluationReport) -> str | None:
    """Return what in a report cannot be, or None: counts that do not add up, or something else in a number's place."""
    if not _is_count(report["n"]) or not 1 <= report["n"] <= MOST_SAMPLES:
        return f"n is {show(report['n'])}, not a number of samples"
    if not isinstance(report["name"], str):
        return f"name is {show(report['name'])}, not a text"
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
            return f"the id {show(problem['id'])} is there twice"
        seen.add(problem["id"])
    return _fault_of_tables(report)


def _fault_of_tables(report: EvaluationReport) -> str | None:
    for name in _TABLES:
        table = report.get(name) or {}
        if not isinstance(table, Mapping):
            return f"{name} is {show(table)}, not an object"
        for key, cell in table.items():
            if name not in ("metrics", "labels") and not _NUMBER.fullmatch(key):
                return f"{name} has the entry {key!r}, which is no number"
            if not all(map(_is_number, cell.values() if isinstance(cell, Mapping) else [cell])):
                return f"{name} has {show(cell)} at {key!r}, not a value with its interval"
    diversity = report.get("diversity") or {}
    if not isinstance(diversity, Mapping) or not all(isinstance(part, Mapping) for part in diversity.values()):
        return "diversity is not an object of objects"
    return None


def _fault_of_problem(problem: object) -> str | None:
    if not isinstance(problem, Mapping):
        return "is not an object"
    for key in ("id", "prompt", *_COUNTS, *_MAYBE_COUNTS, *_NUMBERS, "classes", "labels"):
        if key not in problem:
            return f"has no {key!r}"
    if not isinstance(problem["id"], str):
        return f"has the id {show(problem['id'])}, not a text"
    for key in _COUNTS:
        if not _is_count(problem[key]):
            return f"has {key} {show(problem[key])}, not a count"
    for key in _MAYBE_COUNTS:
        if problem[key] is not None and not _is_count(problem[key]):
            return f"has {key} {show(problem[key])}, neither a count nor null"
    for key in _NUMBERS:
        if not _is_number(problem[key]):
            return f"has {key} {show(problem[key])}, not a number"
    for key in _MAYBE_NUMBERS:
        if not _is_number(problem.get(key)):
            return f"has {key} {show(problem[key])}, not a number"
    majority = problem.get("majority", {})
    if not isinstance(majority, Mapping) or not all(map(_is_number, majority.values())):
        return "has majority votes that are not numbers"
    answers = problem.get("answers", {})
    if not isinstance(answers, Mapping) or not all(map(_is_pair, answers.values())):
        return "has answers that are not pairs of counts"
    if not isinstance(problem["labels"], Mapping) or not all(map(_is_count, problem["labels"].values())):
        return "has labels that are not counts"
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
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value)) and value[1] <= value[0]


def _is_number(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST
