"""What a run remembers from step to step, saved with every checkpoint and the same on every rank.

Transforms and anchors keep no state themselves; they are given what they need through the context.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.advantages.counts import AnswerCounts, PassRates
from rlkit.files import write_json

FILE = "rlkit_memory.json"
"""Its name in a checkpoint."""

_NO_ANSWER = "<none>"
"""Completions without an answer are counted under this key, for transforms that treat them as one answer."""


class RunMemory:
    """Answers given to each prompt, pass rates, what of anchor and token weights moves, stalls, and signs of hacking.

    What a generation batch adds counts from the next one on. A checkpoint in the middle of a batch is saved without
    that batch, because a continued run samples it anew.
    """

    def __init__(self) -> None:
        self.answer_counts = AnswerCounts(_NO_ANSWER)
        self.pass_rates = PassRates()
        self.anchor_coef: float | None = None
        """Current coefficient of the anchor; None before the first step."""
        self.token_weights: list[dict[str, float]] = []
        """What of each token weight moves, as it is now; empty before there is a loss."""
        self.stall: dict[str, Any] = {}
        """State of the stall detector of a reference that is reset when the reward stalls."""
        self.monitors: dict[str, Any] = {}
        """State of the monitors of rewards; empty before the first batch."""
        self._pending: tuple[list[str], Any, Any] | None = None

    def count_answers(self, prompt_ids_P: Sequence[str], answers_PG: Sequence[Sequence[str | None]]) -> np.ndarray:
        """Return how often each answer had been given to its prompt before this batch; NaN where there is none."""
        return self.answer_counts.lookup(prompt_ids_P, answers_PG)

    def add_batch(
        self,
        prompt_ids_P: list[str],
        answers_PG: list[list[str | None]] | None = None,
        correct_PG: np.ndarray | None = None,
    ) -> None:
        """Remember a batch, to be counted when the next one begins."""
        self.finish_batch()
        self._pending = (prompt_ids_P, answers_PG, correct_PG)

    def finish_batch(self) -> None:
        """Count the batch that was remembered last."""
        if self._pending is None:
            return
        prompt_ids_P, answers_PG, correct_PG = self._pending
        self._pending = None
        if answers_PG is not None:
            self.answer_counts.add(prompt_ids_P, answers_PG)
        if correct_PG is not None:
            self.pass_rates.add(prompt_ids_P, correct_PG)

    def save(self, directory: str | Path) -> None:
        """Write the file into a checkpoint directory."""
        state = {
            "format": 1,
            "answer_counts": self.answer_counts.to_json(),
            "pass_rates": self.pass_rates.to_json(),
            "anchor_coef": self.anchor_coef,
            "token_weights": self.token_weights,
            "stall": self.stall,
            "monitors": self.monitors,
        }
        write_json(Path(directory) / FILE, state, indent=None)

    def load(self, directory: str | Path) -> bool:
        """Read the file of a checkpoint; False when there is none, and nothing changes."""
        path = Path(directory) / FILE
        if not path.is_file():
            return False
        state = json.loads(path.read_text())
        self.answer_counts = AnswerCounts.from_json(state["answer_counts"], _NO_ANSWER)
        self.pass_rates = PassRates.from_json(state["pass_rates"])
        self.anchor_coef, self.stall = state["anchor_coef"], state["stall"]
        # Checkpoints of older versions have none.
        self.monitors = state.get("monitors", {})
        self.token_weights = state.get("token_weights", self.token_weights)
        self._pending = None
        return True
