"""What an archive holds: problems, the distinct correct solutions of each, and how many samples it took to find them.

Every finding belongs to a source (one model, sampled in one way) and a problem. What is known of a problem is the join
of its findings, which does not depend on the order in which they came: of two findings of one source the larger counts,
and a solution found by several keeps its shortest text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rlkit.types import Prompt


@dataclass(frozen=True)
class Source:
    """Who drew the samples."""

    id: str
    """Tells sources apart; the same model sampled in the same way is the same source, however many samples it drew."""
    model: str
    temperature: float | None = None
    step: int | None = None
    """Training step of the model; None where it is not known."""
    round: int | None = None
    """Round of a run in rounds that drew them; None for others."""


@dataclass(frozen=True)
class Solution:
    """A distinct correct solution of a problem."""

    key: str
    """What tells it from others, by the archive's partition."""
    completion: str
    """The shortest text that was found of it, the first in alphabetical order where several are."""
    count: int
    """Samples that gave it."""
    logp: float | None = None
    """Summed log-prob, in nats, of that text under the model that drew it; None where it is not known."""

    def join(self, other: Solution) -> Solution:
        """Return what two findings of the same solution say together."""
        text = min(self, other, key=_order)
        return Solution(self.key, text.completion, self.count + other.count, text.logp)


@dataclass(frozen=True)
class Finding:
    """What one source found of one problem."""

    problem: str
    prompt: Prompt
    drawn: int
    """Samples of the problem."""
    correct: int
    """Of these, the correct ones: the sum of the solutions' counts."""
    solutions: tuple[Solution, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A problem and all that is known of its solutions."""

    id: str
    prompt: Prompt
    drawn: int
    correct: int
    solutions: tuple[Solution, ...]
    """Sorted by key."""
    by_source: Mapping[str, Finding] = field(default_factory=dict, repr=False)

    @property
    def counts(self) -> list[int]:
        """How often each solution was drawn."""
        return [solution.count for solution in self.solutions]


@dataclass(frozen=True)
class ArchiveRow:
    """One row to learn from: a solution, with its weight."""

    problem: str
    prompt: Prompt
    completion: str
    key: str
    weight: float = 1.0
    """Relative; the rows of an archive have mean 1."""


def merge_solutions(solutions: Iterable[Solution]) -> tuple[Solution, ...]:
    """Return solutions with those of one key joined, sorted by key."""
    found: dict[str, Solution] = {}
    for solution in solutions:
        found[solution.key] = found[solution.key].join(solution) if solution.key in found else solution
    return tuple(found[key] for key in sorted(found))


def join_findings(findings: Mapping[str, Finding], classes: Mapping[str, str] | None = None) -> Problem:
    """Return a problem as its sources' findings, at least one, describe it together.

    Args:
        findings: by source.
        classes: keys of solutions that were judged the same as another, and the key that stands for them.
    """
    names = classes or {}
    parts = [
        replace(part, solutions=merge_solutions(replace(s, key=names.get(s.key, s.key)) for s in part.solutions))
        for _, part in sorted(findings.items())
    ]
    solutions = merge_solutions(solution for part in parts for solution in part.solutions)
    drawn, correct = sum(part.drawn for part in parts), sum(part.correct for part in parts)
    return Problem(
        parts[0].problem, parts[0].prompt, drawn, correct, solutions, dict(zip(sorted(findings), parts, strict=True))
    )


def choose_finding(before: Finding | None, after: Finding) -> Finding:
    """Return which of two findings of one source and problem counts: that of more samples."""
    return after if before is None or _size(after) > _size(before) else before


def _size(finding: Finding) -> tuple[int, int, str]:
    solutions = [[each.key, each.completion, each.count] for each in merge_solutions(finding.solutions)]
    return finding.drawn, finding.correct, json.dumps(solutions)


def _order(solution: Solution) -> tuple[int, str, float]:
    return len(solution.completion), solution.completion, -(solution.logp if solution.logp is not None else -1e300)
