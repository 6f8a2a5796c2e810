"""The report as one object, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rlkit
from rlkit.report.browsed import Browsed, collect_browsed
from rlkit.report.cells import Cell
from rlkit.report.changes import Changes, read_changes
from rlkit.report.columns import Column, headline_columns
from rlkit.report.differences import Comparisons, Difference, Differences, compare_all, read_all_differences
from rlkit.report.examples import Example, collect_examples
from rlkit.report.load import Run, load_runs


@dataclass(frozen=True)
class Report:
    """Several comparable runs, the first of which is the reference."""

    runs: Sequence[Run]
    columns: Sequence[Column]
    differences: Differences
    examples: Sequence[Example]
    comparisons: Comparisons = field(default_factory=dict)
    browsed: Browsed = field(default_factory=Browsed)

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


def build_report(directories: Sequence[Path | str]) -> Report:
    """Read evaluations and compare them; the first directory is the reference.

    Raises:
        ConfigError: as `load_runs`.
    """
    runs = load_runs(directories)
    columns = headline_columns(runs)
    comparisons = compare_all(runs, columns)
    differences = read_all_differences(comparisons, columns)
    return Report(runs, columns, differences, collect_examples(runs), comparisons, collect_browsed(runs))


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
        for j in range(len(report.runs))
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
