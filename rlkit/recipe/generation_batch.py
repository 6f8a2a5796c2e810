"""The one piece of arithmetic every GRPO run must get right: a generation batch holds whole groups.

A generation batch is per_device_train_batch_size x processes x steps_per_generation completions over all ranks, and
each prompt takes num_generations of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rlkit.errors import ConfigError


@dataclass(frozen=True)
class GenerationBatch:
    """How many completions are sampled at once, and how they divide into prompts."""

    per_device_train_batch_size: int
    world_size: int
    steps_per_generation: int
    num_generations: int
    fewest_generations: int = 2
    """Of a prompt; 1 where nothing compares completions."""

    @property
    def num_completions(self) -> int:
        """Completions of one generation batch over all ranks (B)."""
        return self.per_device_train_batch_size * self.world_size * self.steps_per_generation

    @property
    def num_prompts(self) -> int:
        """Prompts of one generation batch over all ranks (P)."""
        return self.num_completions // self.num_generations

    def check(self, num_rows: int | None = None) -> None:
        """Check that groups are whole and, where `num_rows` is given, that the task has enough problems for one batch.

        Raises:
            ConfigError: naming numbers that would do.
        """
        for name in ("per_device_train_batch_size", "steps_per_generation"):
            if getattr(self, name) < 1:
                raise ConfigError(f"train.{name} is {getattr(self, name)}; it takes 1 or more.")
        if self.num_generations is None or self.num_generations < self.fewest_generations:
            why = "comparing within a group takes 2" if self.fewest_generations == 2 else "it takes 1"
            raise ConfigError(f"train.num_generations is {self.num_generations}; {why} or more.")
        if self.num_completions % self.num_generations:
            raise ConfigError(self._explain_division())
        if num_rows is not None and num_rows < self.num_prompts:
            raise ConfigError(
                f"A generation batch takes {self.num_prompts} problems, but the task has {num_rows}; lower "
                "train.per_device_train_batch_size or ask the task for more problems."
            )

    def _explain_division(self) -> str:
        processes = f"{self.world_size} process{'es' if self.world_size > 1 else ''}"
        offers = [
            _offer("num_generations", self._near_divisors()),
            _offer("per_device_train_batch_size", self._near_batch_sizes()),
        ]
        return (
            f"train.num_generations is {self.num_generations}, which does not divide the {self.num_completions} "
            f"completions of a generation batch (per_device_train_batch_size {self.per_device_train_batch_size} x "
            f"{processes} x steps_per_generation {self.steps_per_generation}); "
            f"{' or '.join(filter(None, offers))} would do."
        )

    def _near_divisors(self) -> list[int]:
        divisors = [
            n for n in range(self.fewest_generations, self.num_completions + 1) if self.num_completions % n == 0
        ]
        below = [n for n in divisors if n < self.num_generations][-1:]
        return below + [n for n in divisors if n > self.num_generations][:1]

    def _near_batch_sizes(self) -> list[int]:
        rest = self.world_size * self.steps_per_generation
        unit = self.num_generations // math.gcd(self.num_generations, rest)
        below = self.per_device_train_batch_size // unit * unit
        return [size for size in (below, below + unit) if size > 0]


def _offer(name: str, numbers: list[int]) -> str:
    return f"{name} {' or '.join(map(str, numbers))}" if numbers else ""
