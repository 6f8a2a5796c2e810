"""Drawing Countdown problems: which numbers, which targets, how many solutions; the same for the same seed, always."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from rlkit.errors import ConfigError
from rlkit.tasks.countdown_solver import MAX_NUMBERS, SolutionRules, solutions_by_target
from rlkit.tasks.countdown_splits import multisets


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
            raise ConfigError(f"Targets {self.min_target} to {self.max_target} were given; write 1 <= min_target <= max_target.")

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
    num_solutions: int
    """Number of distinct solutions under the rules it was drawn for."""


@functools.lru_cache(maxsize=32)
def draw_problems(
    split: str,
    extent: ProblemRange,
    rules: SolutionRules,
    size: int,
    seed: int,
    min_solutions: int = 1,
    max_solutions: int | None = None,
) -> tuple[Problem, ...]:
    """Return `size` different problems of a split, each with `min_solutions` to `max_solutions` distinct solutions.

    Every set of numbers gives one problem before any gives a second, so that held-out problems are as independent as can be.

    Raises:
        ConfigError: the split has fewer such problems than asked for.
    """
    generator = random.Random(f"countdown/{split}/{seed}")
    order = list(multisets(split, extent.num_numbers, extent.max_number))
    generator.shuffle(order)
    waiting = [_shuffled_problems(numbers, extent, rules, generator.random()) for numbers in order]
    drawn: list[Problem] = []
    while waiting:
        still_waiting = []
        for problems in waiting:
            for problem in problems:
                if min_solutions <= problem.num_solutions <= (max_solutions or problem.num_solutions):
                    drawn.append(problem)
                    still_waiting.append(problems)
                    break
            if len(drawn) == size:
                return tuple(drawn)
        waiting = still_waiting
    wanted = f"{min_solutions} to {max_solutions or 'any number of'} solutions"
    raise ConfigError(f"{size} {split} problems with {wanted} were asked for, but there are only {len(drawn)}; ask for fewer.")


def _shuffled_problems(numbers: tuple[int, ...], extent: ProblemRange, rules: SolutionRules, seed: float) -> Iterator[Problem]:
    """Yield the solvable problems of one set of numbers in random order; nothing is solved before the first is asked for."""
    solutions = solutions_by_target(numbers, extent.targets, rules)
    targets = sorted(solutions)
    if not rules.use_all:  # a target that is itself given asks for nothing
        targets = [target for target in targets if target not in numbers]
    random.Random(seed).shuffle(targets)
    for target in targets:
        yield Problem(numbers, target, len(solutions[target]))
