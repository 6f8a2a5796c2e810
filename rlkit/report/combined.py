"""The report as one object, and as JSON."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rlkit
from rlkit.evaluation.comparing.comparison import Choices
from rlkit.report.browsed import Browsed, collect_browsed
from rlkit.report.cells import Cell
from rlkit.report.changes import Changes, read_changes
from rlkit.report.columns import Column, headline_columns
from rlkit.report.differences import (
    MOST_PAIRED,
    Comparisons,
    Difference,
    Differences,
    compare_all,
    read_all_differences,
)
from rlkit.report.examples import Example, collect_examples
from rlkit.report.load import Run, load_runs
from rlkit.terminal import StageProgress


@dataclass(frozen=True)
class Report:
    """Several comparable runs, the first of which is the reference."""

    runs: Sequence[Run]
    columns: Sequence[Column]
    differences: Differences
    examples: Sequence[Example]
    comparisons: Comparisons = field(default_factory=dict)
    browsed: Browsed = field(default_factory=Browsed)
    choices: Choices = field(default_factory=Choices)
    """What was chosen of the verdicts."""

    @property
    def references(self) -> range:
        """Runs against which all others were compared: every one, or the first where they are many."""
        return range(len(self.runs) if len(self.runs) <= MOST_PAIRED else 1)

    @property
    def names(self) -> list[str]:
        """Run names in order."""
        return [run.name for run in self.runs]

    def difference(self, run: int, column: Column, against: int = 0) -> Difference | None:
        """Return run minus another in one column; None for a run against itself or where it was not computed."""
        return self.differences.get((run, against), {}).get(column.key)

    def comparison(self, run: int, against: int = 0) -> Mapping[str, Any]:
        """Return what comparing a run with one that was named before it gave; empty for other pairs."""
        return self.comparisons.get((run, against), {})

    def changes(self, run: int, against: int = 0) -> Changes:
        """Return the headline's numbers from another run to this one."""
        return read_changes(self.columns, self.differences[run, against])


def build_report(directories: Sequence[Path | str], choices: Choices | None = None) -> Report:
    """Read evaluations and compare them; the first directory is the reference. Shows progress where there are many.

    Args:
        directories: of evaluations or runs.
        choices: of the verdicts: margins, k and measure of diversity.

    Raises:
        ConfigError: as `load_runs`, or something was chosen that the evaluations do not have.
    """
    choices = choices or Choices()
    with StageProgress() if len(directories) > MOST_PAIRED else contextlib.nullcontext(_say_nothing) as progress:
        runs = load_runs(directories, lambda done: progress("Reading evaluations", done, len(directories)))
        columns, num_pairs = headline_columns(runs), math.comb(len(runs), 2)
        num_pairs = num_pairs if len(runs) <= MOST_PAIRED else len(runs) - 1
        comparisons = compare_all(
            runs, columns, choices, lambda done: progress("Comparing them", done, num_pairs, "comparisons")
        )
        differences = read_all_differences(comparisons, columns)
        browsed = collect_browsed(runs, progress=lambda done: progress("Reading samples", done, len(runs)))
        return Report(runs, columns, differences, collect_examples(runs), comparisons, browsed, choices)


def _say_nothing(stage: str, done: int, total: int, unit: str = "") -> None:
    """Stand where progress is shown."""


def as_json(report: Report) -> dict[str, Any]:
    """Return everything the report states as JSON values; undefined numbers are null."""
    first = report.runs[0].report
    return {
        "rlkit_version": rlkit.__version__,
        "reference": report.names[0],
        "task": first.get("task"),
        "split": first.get("split"),
        "num_problems": first.get("num_problems"),
        "columns": [{"key": c.key, "title": c.title, "note": c.note} for c in report.columns],
        "runs": [_run_json(report, i) for i in range(len(report.runs))],
        "examples": [_example_json(report, example) for example in report.examples],
    }


def _run_json(report: Report, i: int) -> dict[str, Any]:
    run = report.runs[i]
    metrics = run.report.get("metrics") or {}
    against = {
        report.names[j]: {key: cell.as_json() for key, cell in report.differences[i, j].items()}
        for j in report.references
        if j != i
    }
    return {
        "name": run.name,
        "directory": str(run.directory),
        "model": run.report.get("model"),
        "n": run.report.get("n"),
        "num_problems": run.report.get("num_problems"),
        "engine": run.report.get("engine"),
        "sampling": run.report.get("sampling"),
        "config_hash": run.report.get("config_hash"),
        "pass_at_k": {str(k): _cell_json(run.cell(f"pass@{k}")) for k in run.ks},
        "metrics": {name: _cell_json(run.cell(name)) for name in metrics},
        "training": run.training.summary() if run.training else None,
        "differences": against.get(report.names[0]) if i else None,
        "differences_against": against,
        "comparison": dict(report.comparison(i)) or None,
    }


def _cell_json(cell: Cell | None) -> dict[str, Any] | None:
    return cell.as_json() if cell else None


def _example_json(report: Report, example: Example) -> dict[str, Any]:
    return {
        "id": example.problem_id,
        "reason": example.reason,
        "num_solutions": example.num_solutions,
        "runs": {
            name: {"num_samples": g.num_samples, "solutions": dict(g.solutions), "wrong": dict(g.wrong)}
            for name, g in zip(report.names, example.groups, strict=True)
        },
    }
