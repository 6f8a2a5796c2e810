"""Outcome-based exploration: a bonus on final answers that are rare."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.errors import MissingInputError
from rlkit.parameters import check_choice, check_number


@dataclass(frozen=True)
class AddOutcomeBonus(Transform):
    """Add `coef` times a bonus on the final answer (outcome-based exploration, arXiv 2509.06941).

    With N how often the answer was given to that prompt in training so far:

    - `ucb`: b = min(1, sqrt(1 / N)), in [0, 1]; 1 where N is 0.
    - `ucb_mean`: b minus its mean over the group; sums to zero.
    - `ucb_con`: b - `offset`; with 0.5 every answer given more than four times is taxed, with 1 the bonus is never
      positive.
    - `batch`: -(number of *other* completions of the group with that answer) / G, in (-1, 0]; no history.

    It belongs *after* the normalisation: before it, the standard deviation would rescale the bonus prompt by prompt.
    Groups without reward variance then learn from the bonus alone, which is meant. Unless it is `ucb_mean`, the bonus
    shifts the baseline, and right answers given often are taxed like wrong ones: keep coef * (1 - offset) below the
    size of a usual advantage. The answers that were produced count, whether or not they were scored; values that are
    NaN stay NaN.

    Where we choose: the paper does not say whether N includes the batch at hand. `count="before"` does not, since the
    paper's min(1, .) matters only where N can be 0; `after` adds the group's own occurrences (not those of a second
    group of the same prompt), so that an answer is never new twelve times at once. There is no released code; coef 0.2
    and the offsets (0.5 on the medium data set, 1 on the easy one) are known second hand, from the public review.

    Raises:
        MissingInputError: on call, when answers or the counts that the kind needs are absent.
    """

    kind: str = "ucb_con"
    """`ucb`, `ucb_mean`, `ucb_con` or `batch`; `ucb_con` had the best pass@k over all k in the paper."""
    coef: float = 0.2
    """Factor of the bonus; any finite number."""
    offset: float = 0.5
    """What `ucb_con` subtracts; the other kinds have none."""
    count: str = "before"
    """`before`: N without this batch; `after`: with this group's occurrences. Means nothing to `batch`."""
    no_answer: str = "skip"
    """`skip`: completions without an answer get no bonus and are left out of the mean; `bucket`: they share one answer,
    whose count must then be kept too (`AnswerCounts(no_answer_key=...)`)."""

    def __post_init__(self) -> None:
        for field, allowed in _ALLOWED.items():
            check_choice(self.name, field, getattr(self, field), allowed)
        for field in ("coef", "offset"):
            check_number(self.name, field, getattr(self, field))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"answers_PG"} if self.kind == "batch" else {"answers_PG", "answer_counts_PG"})

    @property
    def min_group_size(self) -> int:
        return 2 if self.kind in ("batch", "ucb_mean") else 1

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        answers_PG = ctx.require("answers_PG", self.name)
        answers_PG = torch.where(answers_PG >= 0, answers_PG, -1)
        counted_PG = (answers_PG >= 0) | (self.no_answer == "bucket")
        copies_PG = (answers_PG[:, :, None] == answers_PG[:, None, :]).sum(dim=2).to(values_PG.dtype)
        if self.kind == "batch":
            bonus_PG = -(copies_PG - 1) / answers_PG.shape[1]
        else:
            bonus_PG = self._bonus_of_history(ctx, counted_PG, copies_PG)
        return torch.where(counted_PG, values_PG + self.coef * bonus_PG, values_PG)

    def _bonus_of_history(self, ctx: GroupContext, counted_PG: torch.Tensor, copies_PG: torch.Tensor) -> torch.Tensor:
        counts_PG = ctx.require("answer_counts_PG", self.name).masked_fill(~counted_PG, torch.nan)
        if (counted_PG & ~(counts_PG >= 0)).any():
            raise MissingInputError(
                f"{self.name} found no count for an answer in answer_counts_PG; counts are 0 or more wherever there is "
                "an answer, and under no_answer='bucket' where there is none too; write no_answer: skip otherwise."
            )
        if self.count == "after":
            counts_PG = counts_PG + copies_PG
        bonus_PG = counts_PG.clamp(min=1).rsqrt()
        if self.kind == "ucb_mean":
            return bonus_PG - bonus_PG.nanmean(dim=1, keepdim=True)
        return bonus_PG - self.offset if self.kind == "ucb_con" else bonus_PG


_ALLOWED = {
    "kind": ("ucb", "ucb_mean", "ucb_con", "batch"),
    "count": ("before", "after"),
    "no_answer": ("skip", "bucket"),
}
