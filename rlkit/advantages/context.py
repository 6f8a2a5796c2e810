"""What a transform may know about the groups besides their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from rlkit.errors import MissingInputError

_PROVIDED_BY = {
    "rewards_PGK": "`rewards`",
    "correct_PG": "`train.correct_reward` (which reward is the verifier) and `train.correct_above`",
    "scored_PG": "`rewards`",
    "labels_PG": "`partition`",
    "summed_rewards_PG": "the chain that the transform stands in",
    "lengths_PG": "a trainer; it is not known offline",
    "mean_logps_PG": "a trainer that keeps sampling log-probabilities, such as `train.use_vllm: true`",
}


@dataclass(frozen=True)
class GroupContext:
    """Facts about P groups of G completions; every field may be absent, and `require` says what would provide it.

    Tensors and numpy arrays are both accepted.
    """

    rewards_PGK: Any = None
    """Reward of each of the K reward functions; NaN where a function abstained."""
    summed_rewards_PG: Any = None
    """The values the chain started from: weighted sum of the rewards, NaN where unscored."""
    correct_PG: Any = None
    """1 where the verifier says correct, 0 where it says wrong, NaN where it could not judge (bool is fine too)."""
    scored_PG: Any = None
    """True where at least one reward function scored the completion."""
    labels_PG: Any = None
    """Class of each completion under the partition: integers >= 0, comparable inside a group only."""
    lengths_PG: Any = None
    """Completion lengths in tokens."""
    mean_logps_PG: Any = None
    """Mean log-probability per token under the behaviour policy."""
    step: int | None = None
    """Optimizer step at which the group was sampled."""

    def require(self, field: str, needed_by: str) -> torch.Tensor:
        """Return a field as a float64 tensor.

        Raises:
            MissingInputError: the field is absent; the sentence names the recipe key that provides it.
        """
        value = getattr(self, field)
        if value is None:
            raise MissingInputError(
                f"{needed_by} needs {field}, which is not known here; it comes from {_PROVIDED_BY[field]}."
            )
        return torch.as_tensor(value).to(dtype=torch.float64, device="cpu")
