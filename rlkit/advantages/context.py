"""What a transform may know about the groups besides their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlkit.errors import ConfigError, MissingInputError
from rlkit.parameters import show

_BY_A_TRAINER = "a trainer; it is not known offline"
_PROVIDED_BY = {
    "rewards_PGK": "`rewards`",
    "correct_PG": "`train.correct_reward` (which reward is the verifier) and `train.correct_above`",
    "scored_PG": "`rewards`",
    "labels_PG": "`partition`",
    "equivalent_PGG": "`partition`",
    "answers_PG": "`answers` (a partition that reads the final answer)",
    "answer_counts_PG": "`answers` (a partition that reads the final answer) and a trainer, which keeps the counts",
    "pass_counts_P2": _BY_A_TRAINER,
    "embeddings_PGE": "`embedding`",
    "summed_rewards_PG": "the chain that the transform stands in",
    "lengths_PG": _BY_A_TRAINER,
    "mean_logps_PG": _BY_A_TRAINER,
    "ref_mean_logps_PG": _BY_A_TRAINER,
    "logps_PGT": _BY_A_TRAINER,
    "prompt_logps_PS": _BY_A_TRAINER,
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
    equivalent_PGG: Any = None
    """True where the partition's own pairwise judgement calls two completions the same, before transitive closure."""
    answers_PG: Any = None
    """Final answer of each completion: integers >= 0, comparable inside a group only; -1 where there is none."""
    answer_counts_PG: Any = None
    """How often that answer had been given to that prompt before this batch; NaN where there is no answer."""
    pass_counts_P2: Any = None
    """How often that prompt had been answered correctly before this batch, and how often it had been judged."""
    embeddings_PGE: Any = None
    """One vector of E numbers a completion, not normalised; all NaN where there was nothing to embed."""
    lengths_PG: Any = None
    """Completion lengths in tokens."""
    mean_logps_PG: Any = None
    """Mean log-probability per token under the behaviour policy; follows from `logps_PGT` where that is known."""
    ref_mean_logps_PG: Any = None
    """The same under the reference policy: the initial one, or the anchor's."""
    logps_PGT: Any = None
    """Log-probability of each completion token under the behaviour policy; NaN at padding."""
    prompt_logps_PS: Any = None
    """Log-probability of each prompt token under the behaviour policy; NaN at padding and at the first token."""
    step: int | None = None
    """Optimizer step at which the group was sampled."""

    def require(self, field: str, needed_by: str) -> torch.Tensor:
        """Return a field as a float64 tensor.

        `mean_logps_PG` is derived from `logps_PGT`, and `equivalent_PGG` from `labels_PG`, where only the latter is
        known.

        Raises:
            MissingInputError: the field is absent; the sentence names the recipe key that provides it.
            ConfigError: it holds something other than numbers.
        """
        value = getattr(self, field)
        if value is None and field == "mean_logps_PG" and self.logps_PGT is not None:
            return self.require("logps_PGT", needed_by).nanmean(dim=2)
        if value is None and field == "equivalent_PGG" and self.labels_PG is not None:
            labels_PG = self.require("labels_PG", needed_by)
            return (labels_PG[:, :, None] == labels_PG[:, None, :]).double()
        if value is None and self.step is not None and _PROVIDED_BY[field] == _BY_A_TRAINER:
            # A step is known inside a trainer only, which gathers these where a transform says so.
            raise MissingInputError(
                f"{needed_by} needs {field}, which this run did not gather because no transform of its chain says so; "
                f"write `{needed_by}.needs = {{{field!r}}}` below the function, or `needs` in the class."
            )
        if value is None:
            raise MissingInputError(
                f"{needed_by} needs {field}, which is not known here; it comes from {_PROVIDED_BY[field]}."
            )
        try:
            return torch.as_tensor(value).detach().to(dtype=torch.float64, device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(f"{needed_by} was given {field}={show(value)}; give numbers, NaN for none.") from error

    def check_shapes(self, shape_PG: tuple[int, int], needed_by: str) -> None:
        """Raise ConfigError unless every field that is known is of as many prompts and completions as the values.

        One that is too short or transposed would otherwise be stretched to fit, or compare completions of different
        prompts.
        """
        expected = dict(zip("PG", shape_PG, strict=True))
        for name in _PROVIDED_BY:
            value, axes = getattr(self, name), name.rpartition("_")[2]
            if value is None:
                continue
            given = _measure(value)
            fits = all(expected.get(axis, size) == size for axis, size in zip(axes, given, strict=False))
            if len(given) != len(axes) or not fits:
                raise ConfigError(
                    f"{needed_by} was given values of shape {shape_PG} and {name} of shape {given}; "
                    "give the same prompts and completions."
                )


def _measure(value: Any) -> tuple[int, ...]:
    """Return the shape of a tensor, array or nested list; of a ragged list, of as much as is regular: (N,)."""
    if hasattr(value, "shape"):
        return tuple(value.shape)
    try:
        return np.shape(value)
    except ValueError:
        return (len(value),)
