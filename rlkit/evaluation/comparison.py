"""Two evaluations of the same problems, problem by problem: what changed, with intervals and p-values.

Pairing removes what problems have in common, the larger part of the spread between them. Quantities that grow with the
number of samples are compared at the same number on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.errors import ConfigError, StoreError
from rlkit.estimators import mean_intervals, pass_at_k, sign_flip_p_values
from rlkit.evaluation.metrics import METRICS, Cell, Problem, distinct_at_k_columns, k_grid
from rlkit.evaluation.store import REPORT, read_json

Report = Mapping[str, Any]
"""What report.json holds."""

FloatArray = NDArray[np.float64]

# Means over tokens or samples, comparable whatever the number of samples; the others grow with it.
_METRICS_FREE_OF_N = ("token_entropy", "surprisal", "num_tokens", "truncated")
_METRICS_AT_EQUAL_N = ("auc_log2", "answer_entropy")


def read_report(directory: str | Path) -> dict[str, Any]:
    """Return the report of an evaluation directory, or of the evaluation in a training run's `eval` folder.

    Raises:
        StoreError: there is none, or it is not readable.
    """
    directory = Path(directory).expanduser()
    in_run = directory / "eval" / REPORT
    path = in_run if in_run.exists() and not (directory / REPORT).exists() else directory / REPORT
    report = read_json(path)
    missing = [key for key in ("name", "model", "n", "config_hash", "sampling", "problems") if key not in report]
    if missing:
        raise StoreError(f"{path} is not the report of an evaluation: it has no {missing[0]!r}; run rlkit eval again.")
    return report


def compare_runs(
    report_a: Report, report_b: Report, *, ks: Sequence[int] | None = None, level: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Return the differences b - a of two evaluations, paired by problem id.

    Args:
        report_a, report_b: contents of two report.json.
        ks: budgets to compare pass@k at; powers of two up to the smaller n, and that n, by default.
        level: of the intervals.
        seed: of the resamples. All quantities share them.

    Returns:
        `{"a", "b", "num_paired", "num_only_a", "num_only_b", "level", "notes", "pass_at_k": {"1": cell, ...},
        "metrics": {...}}`. A cell is `{"a", "b", "difference", "low", "high", "p_value", "num_defined", "num_total"}`:
        both means and their difference over the problems where both are defined, its bootstrap interval (Student's t
        below 50 problems), and the p-value of a sign-flip test for this quantity alone. `distinct_correct` and
        `solution_coverage` are rarefied to the smaller n. Undefined numbers are None.

    Raises:
        ConfigError: the two share no problem, or a problem has another prompt, or a k is out of range.
    """
    pairs = _paired_problems(report_a, report_b)
    n = min(report_a["n"], report_b["n"])
    ks = list(ks) if ks is not None else k_grid(n)
    if not ks or min(ks) < 1:
        raise ConfigError(f"pass@k is compared at budgets of at least 1, but {list(ks)} was given.")
    same_n = report_a["n"] == report_b["n"]
    columns_a, columns_b = (dict(_columns(side, ks, n, same_n)) for side in zip(*pairs, strict=True))
    cells = _compare_columns(columns_a, columns_b, level, seed)
    return {
        "a": _identify(report_a),
        "b": _identify(report_b),
        "num_paired": len(pairs),
        "num_only_a": len(report_a["problems"]) - len(pairs),
        "num_only_b": len(report_b["problems"]) - len(pairs),
        "level": level,
        "notes": _notes(report_a, report_b, len(pairs)),
        "pass_at_k": {str(k): cells.pop(f"pass@{k}") for k in ks},
        "metrics": cells,
    }


def _paired_problems(report_a: Report, report_b: Report) -> list[tuple[Problem, Problem]]:
    others = {problem["id"]: problem for problem in report_b["problems"]}
    pairs = [(problem, others[problem["id"]]) for problem in report_a["problems"] if problem["id"] in others]
    names = f"{report_a['name']!r} and {report_b['name']!r}"
    if not pairs:
        raise ConfigError(f"{names} share no problem; compare evaluations of one task and split.")
    changed = [a["id"] for a, b in pairs if a["prompt"] != b["prompt"]]
    if changed:
        raise ConfigError(f"{names} have different prompts for {changed[0]!r}; evaluate both on one version of it.")
    return pairs


def _columns(problems: Sequence[Problem], ks: Sequence[int], n: int, same_n: bool) -> Iterator[tuple[str, FloatArray]]:
    """Yield each quantity's value for every problem, NaN where undefined."""
    num_samples = np.array([problem["num_samples"] for problem in problems])
    num_correct = np.array([problem["num_correct"] for problem in problems])
    for k in ks:
        yield f"pass@{k}", np.asarray(pass_at_k(num_samples, num_correct, k))
    # Where some samples went ungraded, what is left is still compared at one number on both sides.
    distinct = _distinct_at(problems, n)
    yield "distinct_correct", distinct
    yield "solution_coverage", distinct / np.array([problem["num_solutions"] or math.nan for problem in problems])
    for name in (*_METRICS_FREE_OF_N, *(_METRICS_AT_EQUAL_N if same_n else ())):
        yield name, METRICS[name].column(problems)


def _distinct_at(problems: Sequence[Problem], n: int) -> FloatArray:
    return distinct_at_k_columns(problems, [n])[:, 0]


def _compare_columns(
    columns_a: Mapping[str, FloatArray], columns_b: Mapping[str, FloatArray], level: float, seed: int
) -> dict[str, Cell]:
    values_a, values_b = (np.stack(list(columns.values()), axis=1) for columns in (columns_a, columns_b))
    differences_MK = values_b - values_a
    intervals = mean_intervals(differences_MK, level, seed=seed)
    p_values = sign_flip_p_values(differences_MK, seed=seed)
    cells = {}
    for at, (name, interval) in enumerate(zip(columns_a, intervals, strict=True)):
        both = ~np.isnan(differences_MK[:, at])
        cell = interval.as_cell()
        cells[name] = {
            "a": float(values_a[both, at].mean()) if both.any() else None,
            "b": float(values_b[both, at].mean()) if both.any() else None,
            "difference": cell.pop("value"),
            "low": cell.pop("low"),
            "high": cell.pop("high"),
            "p_value": float(p_values[at]) if both.any() else None,
            **cell,
        }
    return cells


def _identify(report: Report) -> dict[str, Any]:
    return {key: report[key] for key in ("name", "model", "n", "config_hash")}


def _notes(report_a: Report, report_b: Report, num_paired: int) -> list[str]:
    """Return what else than the model differs, one sentence each."""
    settings = ("task", "split", "engine", "n")
    notes = [_note(key, report_a[key], report_b[key]) for key in settings if report_a[key] != report_b[key]]
    sampling_a, sampling_b = report_a["sampling"], report_b["sampling"]
    keys = sorted((sampling_a.keys() | sampling_b.keys()) - {"seed"})
    notes += [
        _note(key, sampling_a.get(key), sampling_b.get(key))
        for key in keys
        if sampling_a.get(key) != sampling_b.get(key)
    ]
    unpaired = max(len(report_a["problems"]), len(report_b["problems"])) - num_paired
    if unpaired:
        notes.append(f"Only the {num_paired} problems that both have are compared.")
    return notes


def _note(key: str, value_a: object, value_b: object) -> str:
    return f"{key} differs: {value_a!r} and {value_b!r}."
