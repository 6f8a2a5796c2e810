"""Which wrong rows each optimizer step pushes down: by step and seed alone, so that nothing need be remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.objective.negatives import Negatives


class NegativeRows:
    """A pool of wrong rows, gone through in a new order each time it is through."""

    def __init__(self, settings: Negatives, examples: Any, seed: int) -> None:
        """Take how they are pushed down, the rows (encoded, by place) and the seed of their order."""
        self.settings = settings
        self._examples, self._seed = examples, seed
        self._orders: dict[int, np.ndarray] = {}

    def draw(self, step: int) -> list[dict[str, Any]]:
        """Return the rows of an optimizer step, over all ranks; `step` is the number of steps done before."""
        count, size = self.settings.rows_per_step, len(self._examples)
        places = range(step * count, (step + 1) * count)
        return [self._examples[int(self._order(place // size)[place % size])] for place in places]

    def _order(self, turn: int) -> np.ndarray:
        if turn not in self._orders:
            self._orders = {turn - 1: self._orders.get(turn - 1, np.array([]))}
            self._orders[turn] = np.random.default_rng([self._seed, turn]).permutation(len(self._examples))
        return self._orders[turn]


def share_out(rows: Sequence[Any], rank: int, world_size: int, num_microbatches: int) -> list[list[Any]]:
    """Return which of a step's rows a rank takes in each micro-batch; every row is in exactly one."""
    mine = rows[rank::world_size]
    return [list(mine[at::num_microbatches]) for at in range(num_microbatches)]
