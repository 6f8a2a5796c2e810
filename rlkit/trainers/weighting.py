"""The token weights of a run as they move: what a step showed changes them for the next one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlkit.objective import TokenWeight
from rlkit.trainers.memory import RunMemory


class Weighting:
    """Moves token weights by the entropy of a step; what must outlive the step is in the run's memory."""

    def __init__(self, weights: Sequence[TokenWeight], memory: RunMemory) -> None:
        """Start where the weights say; those that a user wrote need not know that anything moves."""
        self._built, self._memory = tuple(weights), memory
        self._entropies: list[float] = []
        memory.token_weights = [weight.start() if isinstance(weight, TokenWeight) else {} for weight in weights]

    @property
    def weights(self) -> tuple[TokenWeight, ...] | None:
        """The weights as they are now; None where none of them moves."""
        if not any(self._memory.token_weights):
            return None
        pairs = zip(self._built, self._memory.token_weights, strict=True)
        return tuple(weight.at(state) if state else weight for weight, state in pairs)

    def observe_entropy(self, entropy: float) -> None:
        """Note the mean entropy of some tokens of this step; NaN says nothing."""
        if not math.isnan(entropy):
            self._entropies.append(entropy)

    def forget_step(self) -> None:
        """Drop what was noted of a step that was never finished."""
        self._entropies = []

    def finish_step(self) -> dict[str, float]:
        """Move the weights after an optimizer step, and return what is to be logged: what they were in it."""
        states, entropies = self._memory.token_weights, self._entropies
        if not any(states):
            return {}
        logged = {}
        for state in states:
            for name, value in state.items():
                logged[f"token_weight/{name}"] = value
        entropy = sum(entropies) / len(entropies) if entropies else math.nan
        pairs = zip(self._built, states, strict=True)
        self._memory.token_weights = [weight.move(state, entropy) if state else {} for weight, state in pairs]
        self.forget_step()
        return logged
