"""Which solutions of an archive each optimizer step takes: all of them in turn, each so often at most."""

from __future__ import annotations

from typing import Any

import numpy as np


class ReplaySchedule:
    """Takes rows in passes, each in a shuffled order; a row retires after so many passes.

    Without rows that are added on the way it is a function of the step alone: the k-th use of a row lies in the k-th
    pass, whose order the seed and its number give. Rows that are added join the next pass that begins. No step takes a
    row twice within a pass. What is chosen stays chosen until `advance`, so that micro-batches agree.
    """

    def __init__(self, rows_per_step: int, uses: int | None, seed: int) -> None:
        """Start without rows.

        Args:
            rows_per_step: rows of a step; fewer where fewer are left.
            uses: passes that a row takes part in; None for all.
            seed: of the orders.
        """
        self._rows_per_step, self._uses, self._seed = rows_per_step, uses, seed
        self._first_passes = np.zeros(0, dtype=np.int64)
        self._pass, self._position = 0, 0
        self._chosen: list[int] | None = None
        self._waiting = 0
        self._orders: dict[int, np.ndarray] = {}

    def add(self, count: int) -> None:
        """Add rows behind those that are there; they wait where a step is under way."""
        self._waiting += count
        if self._chosen is None:
            self._admit()

    def _admit(self) -> None:
        first = self._pass + (self._position > 0)
        self._first_passes = np.append(self._first_passes, np.full(self._waiting, first, dtype=np.int64))
        self._waiting = 0
        self._orders = {}

    def choose(self) -> list[int]:
        """Return the places of the rows of the present step; none where all have retired."""
        if self._chosen is None:
            rest, following = self._order(self._pass)[self._position :], self._order(self._pass + 1)
            count = min(self._rows_per_step, self.num_left)
            self._chosen = [*rest[:count].tolist(), *following[: max(0, count - len(rest))].tolist()]
        return self._chosen

    def advance(self) -> None:
        """Go on to the next step; what was not asked for is not used up."""
        self._position += len(self._chosen or ())
        self._chosen = None
        while self._position >= (size := len(self._order(self._pass))) > 0:
            self._position -= size
            self._pass += 1
        self._admit()

    @property
    def num_left(self) -> int:
        """Rows that some step will still take."""
        rest, following = self._order(self._pass)[self._position :], self._order(self._pass + 1)
        return len(np.union1d(rest, following))

    def _order(self, number: int) -> np.ndarray:
        if number not in self._orders:
            # Only two passes are ever looked at.
            self._orders = {known: order for known, order in self._orders.items() if abs(known - number) <= 1}
            last_passes = np.inf if self._uses is None else self._first_passes + self._uses - 1
            rows = np.flatnonzero((self._first_passes <= number) & (number <= last_passes))
            self._orders[number] = np.random.default_rng([self._seed, number]).permutation(rows)
        return self._orders[number]

    def to_json(self) -> dict[str, Any]:
        """Return what a continued run needs beside the rows; only between steps."""
        passes, counts = np.unique(self._first_passes, return_counts=True)
        runs = [[int(first), int(count)] for first, count in zip(passes, counts, strict=True)]
        return {"pass": self._pass, "position": self._position, "first_passes": runs}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `to_json` was asked, with the same rows in the same order."""
        runs = state["first_passes"]
        firsts, counts = [first for first, _ in runs], [count for _, count in runs]
        self._first_passes = np.repeat(np.array(firsts, dtype=np.int64), counts)
        self._pass, self._position = state["pass"], state["position"]
        self._chosen, self._waiting, self._orders = None, 0, {}
