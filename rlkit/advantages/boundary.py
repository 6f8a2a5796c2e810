"""BBG: learn from a problem as much as it still stands between failing and passing in k draws."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import read_outcomes
from rlkit.parameters import check_count, check_flag, check_number


@dataclass(frozen=True)
class GateByBoundary(Transform):
    """Multiply a group's values by how much pass@k would rise with its pass rate (BBG, arXiv 2606.15455).

    After m successes of n the pass rate p is believed to be Beta(m + 1, n - m + 1), and the mean slope of pass@k is

        u(m) = E[k (1 - p)^(k - 1)] = k prod_{j = 1..k-1} (n - m + j) / (n + 1 + j)

    which falls from hard problems to mastered ones. The values of a group are multiplied by u(m) / u(1), and by 0 where
    u(m) < gate (n + 1). A group without a success has no values to multiply after a baseline: its completions get
    -`all_wrong` u(0) / u(1), plain negative reinforcement. That pushes every token of them down: keep the clip, and put
    `clip_by_abs` behind it where such groups are many. It comes after the baseline and the scaling.

    With `history` the successes and completions of earlier visits to the problem are in m and n of u(m); gate and u(1)
    stay those of a group, so that factors mean the same for all problems.

    Correctness is `ctx.correct_PG`, or the rewards that the chain started from where all of them are 0 or 1;
    completions of unknown correctness are in no count. There is no code of the authors': the formula is from a
    reimplementation, and how the parts of their loss are weighed against each other is not known.

    Raises:
        ConfigError: when built, a number is out of range.
        MissingInputError: on call, when correctness is absent and the rewards are not binary, or with `history` the
            counts are.
    """

    k: int = 16
    """Draws that pass@k is of, 1 or more; 1 weighs all problems alike."""
    gate: float = 0.01
    """Of u(m) / (n + 1), 0 or more: what is below teaches nothing; 0 lets everything through."""
    all_wrong: float = 1.0
    """0 or more: how hard groups without a success are pushed down; 0 leaves them alone."""
    history: bool = False
    """Whether what was seen of a problem before this batch counts; needs a trainer, which keeps it."""

    min_group_size = 2

    def __post_init__(self) -> None:
        check_count(self.name, "k", self.k, largest=10_000)
        check_number(self.name, "gate", self.gate, at_least=0)
        check_number(self.name, "all_wrong", self.all_wrong, at_least=0)
        check_flag(self.name, "history", self.history)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"pass_counts_P2"} if self.history else ())

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        correct_PG = read_outcomes(values_PG, ctx, self.name)
        right_P1 = (correct_PG > 0.5).sum(dim=1, keepdim=True).double()
        judged_P1 = (~correct_PG.isnan()).sum(dim=1, keepdim=True).double()
        before_P2 = torch.zeros(len(values_PG), 2, dtype=torch.float64)
        if self.history:
            before_P2 = ctx.require("pass_counts_P2", self.name)
        factors_P1 = self._weigh(right_P1, judged_P1, before_P2)
        is_all_wrong_P1 = (right_P1 == 0) & (judged_P1 > 0)
        if self.all_wrong:
            values_PG = torch.where(is_all_wrong_P1 & ~values_PG.isnan(), -self.all_wrong, values_PG)
        return values_PG * factors_P1

    def _weigh(self, right_P1: torch.Tensor, judged_P1: torch.Tensor, before_P2: torch.Tensor) -> torch.Tensor:
        """Return the factor of each group, (P, 1); 1 where nothing was judged."""
        wrong_P1 = judged_P1 - right_P1 + before_P2[:, 1:] - before_P2[:, :1]
        slopes_P1 = expect_slope(wrong_P1, judged_P1 + before_P2[:, 1:], self.k)
        factors_P1 = slopes_P1 / expect_slope(judged_P1 - 1, judged_P1, self.k)
        factors_P1 = factors_P1.masked_fill(slopes_P1 < self.gate * (judged_P1 + 1), 0.0)
        return factors_P1.masked_fill(judged_P1 == 0, 1.0)


def expect_slope(num_wrong: torch.Tensor, num_draws: torch.Tensor, k: int) -> torch.Tensor:
    """Return the mean slope of pass@k in the pass rate after that many failures among the draws; in (0, k].

    Args:
        num_wrong: failures, of any shape; they need not be whole.
        num_draws: draws, the same shape.
        k: of pass@k, 1 or more.
    """
    j = torch.arange(1, k, dtype=torch.float64)
    return k * ((num_wrong.unsqueeze(-1) + j) / (num_draws.unsqueeze(-1) + 1 + j)).prod(dim=-1)
