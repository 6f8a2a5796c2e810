"""TTRL: the group's own vote stands in for the label."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.parameters import check_flag


@dataclass(frozen=True)
class MatchMajority(Transform):
    """Replace every value by 1 where the answer is the group's most frequent one, else 0 (TTRL, arXiv 2504.16084).

    A completion without an answer gets 0. Of answers equally frequent, the one that occurs first in the group wins. A
    group without any answer has no vote and becomes NaN.

    The incoming values are not used, so unscored completions vote like the others: what the policy answered does not
    depend on whether something could grade it. Their own value stays NaN, as everywhere; a recipe without labels
    therefore needs a reward that gives every completion some number, and which number does not matter.

    Where we differ: the code released with EVOL-RL (arXiv 2509.15194), which implements TTRL too, counts failed
    extractions as an answer like any other, so that "no answer" can win and be rewarded; `count_no_answer=True` does
    the same. The paper votes over 64 samples and trains on 32 of them; here all G vote and all are trained on.

    Raises:
        MissingInputError: on call, when `answers_PG` is absent.
    """

    min_group_size = 2

    count_no_answer: bool = False
    """Whether "no answer" takes part in the vote as if it were an answer, as in the released code."""

    def __post_init__(self) -> None:
        check_flag(self.name, "count_no_answer", self.count_no_answer)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"answers_PG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        answers_PG = ctx.require("answers_PG", self.name)
        matches_PG, has_vote_P1 = match_majority(answers_PG, self.count_no_answer)
        return matches_PG.to(values_PG.dtype).masked_fill(~has_vote_P1 | values_PG.isnan(), torch.nan)


def match_majority(answers_PG: torch.Tensor, count_no_answer: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where the answer is the plurality answer of its group, (P, G) bool, and whether anyone voted, (P, 1) bool.

    Args:
        answers_PG: integers >= 0, comparable inside a group; negative or NaN where there is no answer.
        count_no_answer: whether "no answer" can win.
    """
    answers_PG = torch.where(answers_PG >= 0, answers_PG, -1)
    votes_PG = (answers_PG >= 0) | count_no_answer
    same_PGG = (answers_PG[:, :, None] == answers_PG[:, None, :]) & votes_PG[:, :, None]
    num_votes_PG = same_PGG.sum(dim=2)
    num_votes_P1 = num_votes_PG.amax(dim=1, keepdim=True)
    # Neither argmax nor mode promises which of several equals it returns.
    leads_PG = num_votes_PG == num_votes_P1
    first_P1 = torch.where(leads_PG, torch.arange(answers_PG.shape[1]), answers_PG.shape[1]).amin(dim=1, keepdim=True)
    return votes_PG & (answers_PG == answers_PG.gather(1, first_P1)), num_votes_P1 > 0
