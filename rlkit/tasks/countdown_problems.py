"""Drawing Countdown problems: which numbers, which targets, how many solutions; the same for the same seed, always."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import comb

from rlkit.errors import ConfigError
from rlkit.tasks.countdown_solver import MAX_NUMBERS, SolutionRules, random_value, solutions_by_target
from rlkit.tasks.countdown_splits import multisets, split_of

_FEW_NUMBERS = 4
"""Up to so many numbers all solutions of all targets are enumerated in a few milliseconds."""
_FEW_SETS = 50_000
"""Up to so many sets of numbers all are listed; of more, so many are drawn at random."""
_MOST_BARREN_SETS = 1000
"""So many sets in a row without a wanted problem mean that there are none to be had."""


@dataclass(frozen=True)
class ProblemRange:
    """Which problems there are to draw from."""

    num_numbers: int = 4
    """How many numbers are given, 3 to 6."""
    max_number: int = 13
    """Numbers are drawn from 1 to this."""
    min_target: int = 10
    max_target: int = 50

    def __post_init__(self) -> None:
        """Raise ConfigError for a range that is empty or beyond the solver."""
        if not 3 <= self.num_numbers <= MAX_NUMBERS:
            raise ConfigError(f"num_numbers was given as {self.num_numbers}; write 3 to {MAX_NUMBERS}.")
        if not 2 <= self.max_number <= 100:
            raise ConfigError(f"max_number was given as {self.max_number}; write 2 to 100.")
        if not 1 <= self.min_target <= self.max_target:
            raise ConfigError(
                f"Targets {self.min_target} to {self.max_target} were given; write 1 <= min_target <= max_target."
            )

    @property
    def targets(self) -> range:
        """Every target."""
        return range(self.min_target, self.max_target + 1)


@dataclass(frozen=True)
class Problem:
    """One problem that has a solution."""

    numbers: tuple[int, ...]
    """Ascending."""
    target: int
    num_solutions: int | None
    """Number of distinct solutions under the rules it was drawn for; None where they were not counted."""


@dataclass(frozen=True)
class Draw:
    """How many problems to draw, and which."""

    size: int
    seed: int = 0
    per_set: int = 1
    """Problems drawn from one set of numbers before the next set is looked at."""
    min_solutions: int = 1
    max_solutions: int | None = None

    def wants(self, problem: Problem) -> bool:
        """Return whether the problem's number of solutions is within bounds; what was not counted is wanted."""
        count = problem.num_solutions
        return count is None or self.min_solutions <= count <= (self.max_solutions or count)

    @property
    def is_bounded(self) -> bool:
        """Whether the number of solutions decides anything."""
        return self.min_solutions > 1 or self.max_solutions is not None


@functools.lru_cache(maxsize=32)
def draw_problems(split: str, extent: ProblemRange, rules: SolutionRules, draw: Draw) -> tuple[Problem, ...]:
    """Return different problems of a split, the same for the same arguments.

    Sets of numbers are equally likely; a target is drawn in proportion to how many solutions reach it, as if a random
    solution were drawn and its value told. From five numbers on a training problem's solutions are not counted, which
    would take minutes.

    Raises:
        ConfigError: the split has fewer such problems than asked for.
    """
    generator = random.Random(f"countdown/{split}/{draw.seed}")
    is_counted = extent.num_numbers <= _FEW_NUMBERS or split != "train" or draw.is_bounded
    waiting: Iterable[Iterator[Problem]] = (
        filter(draw.wants, _problems_of(numbers, extent, rules, is_counted, seed))
        for numbers, seed in _seeded_sets(split, extent, generator)
    )
    drawn: list[Problem] = []
    while waiting:
        unfinished = []
        num_barren = 0
        for problems in waiting:
            taken = list(itertools.islice(problems, draw.per_set))
            drawn += taken
            if len(drawn) >= draw.size:
                generator.shuffle(drawn)
                return tuple(drawn[: draw.size])
            if taken:
                unfinished.append(problems)
            num_barren = 0 if taken else num_barren + 1
            if num_barren > _MOST_BARREN_SETS:
                break
        waiting = unfinished
    wanted = f"{draw.min_solutions} to {draw.max_solutions or 'any number of'} solutions"
    raise ConfigError(
        f"{draw.size} {split} problems with {wanted} were asked for, but only {len(drawn)} were found; ask for fewer."
    )


def _seeded_sets(split: str, extent: ProblemRange, generator: random.Random) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield the split's sets of numbers in random order, each with a seed; all, unless they are very many."""
    places = extent.max_number + extent.num_numbers - 1
    if comb(places, extent.num_numbers) <= _FEW_SETS:
        order = list(multisets(split, extent.num_numbers, extent.max_number))
        generator.shuffle(order)
        yield from [(numbers, generator.random()) for numbers in order]
        return
    seen: set[tuple[int, ...]] = set()
    while len(seen) < _FEW_SETS:
        # Stars and bars: a combination of places, less the places before each, is a multiset; all equally likely.
        chosen = sorted(generator.sample(range(places), extent.num_numbers))
        numbers = tuple(place - index + 1 for index, place in enumerate(chosen))
        if numbers not in seen and split_of(numbers) == split:
            seen.add(numbers)
            yield numbers, generator.random()


def _problems_of(
    numbers: tuple[int, ...], extent: ProblemRange, rules: SolutionRules, is_counted: bool, seed: float
) -> Iterator[Problem]:
    """Yield the solvable problems of one set of numbers in random order, computed when they are asked for."""
    generator = random.Random(seed)
    if extent.num_numbers <= _FEW_NUMBERS:
        yield from _all_problems(numbers, extent, rules, generator)
        return
    for target in _reached_targets(numbers, extent, rules, generator):
        count = len(solutions_by_target(numbers, (target,), rules)[target]) if is_counted else None
        yield Problem(numbers, target, count)


def _all_problems(
    numbers: tuple[int, ...], extent: ProblemRange, rules: SolutionRules, generator: random.Random
) -> Iterator[Problem]:
    """Yield every solvable problem of a set of numbers, the ones with many solutions rather sooner."""
    solutions = solutions_by_target(numbers, extent.targets, rules)
    counts = {
        target: len(solutions[target]) for target in sorted(solutions) if _is_worth_asking(numbers, target, rules)
    }
    # Weighted sampling without replacement: the largest u^(1/weight) first (Efraimidis and Spirakis, 2006).
    order = {target: generator.random() ** (1 / count) for target, count in counts.items()}
    for target in sorted(order, key=order.__getitem__, reverse=True):
        yield Problem(numbers, target, counts[target])


def _reached_targets(
    numbers: tuple[int, ...], extent: ProblemRange, rules: SolutionRules, generator: random.Random
) -> Iterator[int]:
    """Yield different targets that random expressions reach, until a thousand in a row bring nothing new."""
    seen: set[int] = set()
    barren = 0
    while barren < 1000:
        size = len(numbers) if rules.use_all else generator.randint(2, len(numbers))
        value = random_value(generator.sample(numbers, size), rules, generator)
        barren += 1
        if value is None or value.denominator != 1 or value not in extent.targets or value in seen:
            continue
        if _is_worth_asking(numbers, int(value), rules):
            barren = 0
            seen.add(int(value))
            yield int(value)


def _is_worth_asking(numbers: tuple[int, ...], target: int, rules: SolutionRules) -> bool:
    """Return False where nothing needs to be done because the target is one of the numbers."""
    return rules.use_all or target not in numbers
