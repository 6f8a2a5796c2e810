"""What an archive holds, in numbers: by difficulty, how it grew with the samples drawn, and what is left to find."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.archive.contents import Finding, Problem
from rlkit.archive.store import Archive
from rlkit.estimators.unseen import bound_pass_rate, count_unseen, expect_distinct

BINS = (0.0, 0.1, 0.3, 0.6, 0.9, 1.0)
"""Upper ends of the bins of pass rates; the first holds the problems that were never solved."""


@dataclass(frozen=True)
class Bin:
    """Problems of like difficulty."""

    name: str
    num_problems: int
    num_drawn: int
    num_correct: int
    num_solutions: int

    @property
    def solutions_per_problem(self) -> float:
        """Distinct solutions a problem; NaN without one."""
        return self.num_solutions / self.num_problems if self.num_problems else math.nan


@dataclass(frozen=True)
class SourceSummary:
    """What one source drew, and what its counts say of the solutions that it has not shown yet."""

    id: str
    model: str
    temperature: float | None
    num_problems: int
    num_drawn: int
    num_correct: int
    num_solutions: int
    unseen_mass: float
    """Chance that its next correct sample is a new solution, over the problems it solved; NaN where undefined."""
    num_left: float
    """Solutions that it is expected to have but has not shown, a lower bound (Chao1)."""
    next_new: float
    """New solutions expected of as many samples again."""
    num_undefined: int
    """Solved problems of one correct sample, of which nothing can be said; in none of the three numbers above."""
    growth: tuple[tuple[int, float], ...]
    """Samples a problem, and the distinct solutions a problem that they give on average."""


@dataclass(frozen=True)
class ArchiveSummary:
    """What `summarise` found."""

    num_problems: int
    num_solved: int
    num_solutions: int
    num_drawn: int
    num_correct: int
    bins: tuple[Bin, ...]
    sources: tuple[SourceSummary, ...]
    unsolved_below: float
    """Pass rate that a problem without a correct sample may have at most (95 %), at the fewest samples drawn of one."""

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON types; None for what is undefined."""
        bins = [vars(each) | {"solutions_per_problem": _or_none(each.solutions_per_problem)} for each in self.bins]
        sources = [{name: _or_none(value) for name, value in vars(each).items()} for each in self.sources]
        return vars(self) | {"bins": bins, "sources": sources, "unsolved_below": _or_none(self.unsolved_below)}


def summarise(archive: Archive) -> ArchiveSummary:
    """Return what an archive holds, in numbers."""
    problems = [*archive.problems.values()]
    unsolved = [each.drawn for each in problems if each.drawn and not each.correct]
    sources = []
    for id in sorted(archive.sources):
        findings = [each.by_source[id] for each in problems if id in each.by_source]
        sources.append(_summarise_source(archive, id, findings))
    return ArchiveSummary(
        num_problems=len(problems),
        num_solved=sum(bool(each.solutions) for each in problems),
        num_solutions=sum(len(each.solutions) for each in problems),
        num_drawn=sum(each.drawn for each in problems),
        num_correct=sum(each.correct for each in problems),
        bins=_bins(problems),
        sources=tuple(sources),
        unsolved_below=bound_pass_rate(min(unsolved)) if unsolved else math.nan,
    )


def _bins(problems: Sequence[Problem]) -> tuple[Bin, ...]:
    found: list[list[Problem]] = [[] for _ in BINS]
    for problem in problems:
        if problem.drawn:
            rate = problem.correct / problem.drawn
            found[next(place for place, end in enumerate(BINS) if rate <= end)].append(problem)
    names = ["never", *(f"{low:g} to {high:g}" for low, high in itertools.pairwise(BINS))]
    return tuple(
        Bin(
            name,
            len(group),
            sum(each.drawn for each in group),
            sum(each.correct for each in group),
            sum(len(each.solutions) for each in group),
        )
        for name, group in zip(names, found, strict=True)
    )


def _summarise_source(archive: Archive, id: str, findings: Sequence[Finding]) -> SourceSummary:
    source = archive.sources[id]
    counts = [[solution.count for solution in finding.solutions] for finding in findings if finding.solutions]
    unseen = [each for each in map(count_unseen, counts) if each.num_samples > 1]
    samples = sum(each.num_samples for each in unseen)
    return SourceSummary(
        id=id,
        model=source.model,
        temperature=source.temperature,
        num_problems=len(findings),
        num_drawn=sum(each.drawn for each in findings),
        num_correct=sum(each.correct for each in findings),
        num_solutions=sum(map(len, counts)),
        unseen_mass=sum(each.num_once for each in unseen) / samples if samples else math.nan,
        num_left=sum(each.chao1 - each.num_found for each in unseen) if unseen else math.nan,
        next_new=sum(each.expect_new(each.num_samples) for each in unseen) if unseen else math.nan,
        num_undefined=len(counts) - len(unseen),
        growth=_growth(findings),
    )


def _growth(findings: Sequence[Finding]) -> tuple[tuple[int, float], ...]:
    """Return the mean distinct solutions at 1, 2, 4, ... samples a problem, as far as every problem has as many."""
    fewest = min((each.drawn for each in findings), default=0)
    sizes = [size for size in (1 << power for power in range(17)) if size < fewest]
    return tuple((size, _mean_distinct(findings, size)) for size in [*sizes, *([fewest] if fewest else [])])


def _mean_distinct(findings: Sequence[Finding], size: int) -> float:
    found = [expect_distinct([solution.count for solution in each.solutions], each.drawn, size) for each in findings]
    return sum(found) / len(found)


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
