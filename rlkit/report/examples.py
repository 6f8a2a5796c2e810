"""A few problems worth looking at, and what each run answered to them.

The choice is deterministic and made from the counts in report.json; samples.jsonl is then read as a stream and only
the chosen problems' lines are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkit.evaluation.samples.reading import read_samples
from rlkit.report.load import Run


@dataclass
class Group:
    """What one run answered to one problem."""

    num_samples: int = 0
    solutions: Counter[str] = field(default_factory=Counter)
    """Correct samples by the canonical key of their solution; "" where the task has no such keys."""
    wrong: Counter[str] = field(default_factory=Counter)
    """All other samples by label."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first completion of each solution and, under its label, of each kind of failure."""


@dataclass(frozen=True)
class Example:
    """One problem with the answers of all runs side by side."""

    problem_id: str
    prompt: Any
    reason: str
    num_solutions: int | None
    groups: list[Group]
    """Aligned with the runs of the report."""

    @property
    def num_samples(self) -> int:
        """The largest number of samples any run has of it."""
        return max((group.num_samples for group in self.groups), default=0)

    @property
    def solutions(self) -> list[str]:
        """Every solution any run found: by the order in which runs prefer them, the reference first."""
        rank = [group.solutions for group in self.groups]
        found = {key for solutions in rank for key in solutions}
        return sorted(found, key=lambda key: ([-solutions[key] for solutions in rank], key))


def collect_examples(runs: Sequence[Run]) -> list[Example]:
    """Choose problems and read their samples; empty when the reports hold no per-problem counts."""
    choices = choose_problems(runs)
    groups = [read_groups(run.directory, set(choices)) for run in runs]
    by_id = {problem["id"]: problem for problem in runs[0].problems}
    return [
        Example(
            problem_id,
            by_id[problem_id].get("prompt"),
            reason,
            by_id[problem_id].get("num_solutions"),
            [group.get(problem_id, Group()) for group in groups],
        )
        for problem_id, reason in choices.items()
    ]


def choose_problems(runs: Sequence[Run]) -> dict[str, str]:
    """Return up to four problem ids with the reason each was chosen.

    The largest loss of distinct correct solutions against the reference, the most typical problem, the largest gain,
    and one solved by the reference only. Ties go to the problem that comes first; a problem is shown once.
    """
    counts = {run.name: _distinct_by_id(run) for run in runs}
    reference, others = runs[0].name, [run.name for run in runs[1:]]
    ids = [problem["id"] for problem in runs[0].problems if all(problem["id"] in c for c in counts.values())]
    changes = [(counts[name][i] - counts[reference][i], i, name) for i in ids for name in others]
    losses = sorted((change for change in changes if change[0] < 0), key=lambda change: change[0])
    gains = sorted((change for change in changes if change[0] > 0), key=lambda change: -change[0])

    def describe(phrase: str, candidates: list[tuple[int, str, str]]) -> list[tuple[str, str]]:
        return [
            (i, f"{phrase}: {name} found {_solutions(counts[name][i])}, {reference} {counts[reference][i] or 'none'}")
            for _, i, name in candidates
        ]

    chosen: dict[str, str] = {}
    for candidates in (
        describe("Largest loss", losses),
        _typical(ids, counts),
        describe("Largest gain", gains),
        describe("No longer solved", [change for change in losses if counts[change[2]][change[1]] == 0]),
    ):
        fresh = next(((i, reason) for i, reason in candidates if i not in chosen), None)
        chosen |= dict([fresh] if fresh else [])
    return chosen


def read_groups(directory: Path, problem_ids: set[str]) -> dict[str, Group]:
    """Gather the samples of the given problems; nothing when the file is missing."""
    groups: dict[str, Group] = {}
    for sample in read_samples(directory, problem_ids):
        group = groups.setdefault(sample["prompt_id"], Group())
        group.num_samples += 1
        if sample["correct"]:
            key = sample["answer"] or ""
            group.solutions[key] += 1
        else:
            key = sample["label"]
            group.wrong[key] += 1
        group.examples.setdefault(key, sample["completion"])
    return groups


def _distinct_by_id(run: Run) -> dict[str, int]:
    counts = {problem["id"]: problem.get("num_distinct_correct") for problem in run.problems}
    return {problem_id: count for problem_id, count in counts.items() if count is not None}


def _solutions(count: int) -> str:
    return f"{count} distinct solution{'' if count == 1 else 's'}" if count else "no solution"


def _typical(ids: Sequence[str], counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    means = {name: sum(by_id[i] for i in ids) / max(len(ids), 1) for name, by_id in counts.items()}
    ranked = sorted(ids, key=lambda i: sum(abs(counts[name][i] - mean) for name, mean in means.items()))
    return [(i, "Most typical: numbers of distinct solutions nearest to every run's mean") for i in ranked]
