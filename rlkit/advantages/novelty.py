"""EVOL-RL: the sign of the reward from the vote or the verifier, its size from novelty."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import read_correctness
from rlkit.advantages.majority import match_majority
from rlkit.parameters import check_choice, check_flag, check_number

_EQUAL = 1e-5
"""Novelties closer than this are equal: float32 embedders return copies that differ in the last digits, and stretching
those to the width of a band would make signal of them."""


@dataclass(frozen=True)
class NoveltyBands(Transform):
    """Replace every value by one in [0.5, 1] or [-1, -0.5], higher the more novel (EVOL-RL, arXiv 2509.15194).

    The sign says whether the answer is the group's most frequent one (or correct). With cosines clipped to [0, 1], s_i
    is the mean similarity to the *other* members of the same sign, m_i the largest to any other valid completion, and
    the novelty u_i = 1 - (alpha s_i + (1 - alpha) m_i) is stretched to [0, 1] inside each sign: the value is
    0.5 + 0.5 u or -1 + 0.5 u. Every comparison is inside the prompt's own group, as in the released code.

    Invalid completions, those without an answer or without a (non-zero) embedding, get -1 and are compared with
    nothing; with fewer than two valid ones in a group everyone gets -1. Under `labels="verifier"` a completion needs no
    extracted answer, but one whose correctness is unknown takes no part and becomes NaN. Under `labels="majority"` the
    incoming values are not used and unscored completions take part in vote and comparison; NaN stays NaN.

    Where the paper and its code differ, `ties` decides. Under `middle`, the code's way, members of a sign that are all
    equally novel get the middle of their band, 0.75 or -0.75, and the only member of a sign its upper end, 1 or -0.5.
    The paper's formula sends both to the lower end, 0.5 or -1: a lone right answer would earn the least, and a lone
    wrong one no more than no answer at all. Therefore the code's way is the default.

    Raises:
        MissingInputError: on call, when embeddings, or answers respectively correctness, are absent.
    """

    min_group_size = 2

    labels: str = "majority"
    """`majority`: the sign is the vote, without labels; `verifier`: the sign is correctness."""
    alpha: float = 0.5
    """Weight of the mean similarity against the largest one, in [0, 1]; the paper's value."""
    ties: str = "middle"
    """`middle`: the released code; `formula`: the paper."""
    count_no_answer: bool = False
    """Whether "no answer" can win the vote, as in the released code; everyone who answered is then in the minority."""

    def __post_init__(self) -> None:
        check_choice(self.name, "labels", self.labels, ("majority", "verifier"))
        check_number(self.name, "alpha", self.alpha, at_least=0, at_most=1)
        check_choice(self.name, "ties", self.ties, ("middle", "formula"))
        check_flag(self.name, "count_no_answer", self.count_no_answer)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embeddings_PGE", "answers_PG" if self.labels == "majority" else "correct_PG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        embeddings_PGE = ctx.require("embeddings_PGE", self.name)
        embedded_PG = embeddings_PGE.isfinite().all(dim=2) & embeddings_PGE.ne(0).any(dim=2)
        positive_PG, judged_PG, unknown_PG = self._judge(values_PG, ctx)
        valid_PG = embedded_PG & judged_PG
        novelty_PG = measure_novelty(embeddings_PGE, positive_PG, valid_PG, self.alpha)
        above_PG = 0.5 + 0.5 * self._stretch(novelty_PG, valid_PG & positive_PG)
        below_PG = -1 + 0.5 * self._stretch(novelty_PG, valid_PG & ~positive_PG)
        banded_PG = torch.where(positive_PG, above_PG, below_PG)
        enough_P1 = valid_PG.sum(dim=1, keepdim=True) >= 2
        banded_PG = torch.where(valid_PG & enough_P1, banded_PG, -1.0)
        return banded_PG.masked_fill(unknown_PG | values_PG.isnan(), torch.nan)

    def _judge(self, values_PG: torch.Tensor, ctx: GroupContext) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the positive ones, those that can be compared, and those of unknown sign."""
        if self.labels == "majority":
            answers_PG = ctx.require("answers_PG", self.name)
            positive_PG, _ = match_majority(answers_PG, self.count_no_answer)
            return positive_PG, answers_PG >= 0, torch.zeros_like(positive_PG)
        correct_PG = read_correctness(values_PG, ctx, self.name)
        return correct_PG > 0.5, ~correct_PG.isnan(), correct_PG.isnan()

    def _stretch(self, novelty_PG: torch.Tensor, members_PG: torch.Tensor) -> torch.Tensor:
        """Map the novelties of the members of a sign to [0, 1]."""
        low_P1 = novelty_PG.masked_fill(~members_PG, torch.inf).amin(dim=1, keepdim=True)
        high_P1 = novelty_PG.masked_fill(~members_PG, -torch.inf).amax(dim=1, keepdim=True)
        single, equal = (1.0, 0.5) if self.ties == "middle" else (0.0, 0.0)
        alone_P1 = members_PG.sum(dim=1, keepdim=True) == 1
        tied_P1 = torch.where(alone_P1, single, equal).to(novelty_PG.dtype)
        return torch.where(high_P1 - low_P1 > _EQUAL, (novelty_PG - low_P1) / (high_P1 - low_P1), tied_P1)


def measure_novelty(
    embeddings_PGE: torch.Tensor, positive_PG: torch.Tensor, valid_PG: torch.Tensor, alpha: float
) -> torch.Tensor:
    """Return u = 1 - (alpha s + (1 - alpha) m), shape (P, G), range [0, 1]; NaN where a valid sibling is missing.

    Args:
        embeddings_PGE: vectors of any length.
        positive_PG: bool; who is compared with whom in s.
        valid_PG: bool; the others are compared with nothing, and their own novelty is NaN.
        alpha: weight of s, the mean over the other valid members of the same sign; the only member of a sign is
            compared with all other valid ones instead, as in the released code.
    """
    units_PGE = torch.nn.functional.normalize(embeddings_PGE.masked_fill(~valid_PG[:, :, None], 0.0), dim=2, eps=1e-300)
    cosines_PGG = (units_PGE @ units_PGE.transpose(1, 2)).clamp(0.0, 1.0)
    others_PGG = valid_PG[:, :, None] & valid_PG[:, None, :] & ~torch.eye(valid_PG.shape[1], dtype=torch.bool)
    kin_PGG = others_PGG & (positive_PG[:, :, None] == positive_PG[:, None, :])
    kin_PGG = torch.where(kin_PGG.any(dim=2, keepdim=True), kin_PGG, others_PGG)
    mean_PG = (cosines_PGG * kin_PGG).sum(dim=2) / kin_PGG.sum(dim=2)
    largest_PG = (cosines_PGG * others_PGG).amax(dim=2)
    return 1 - (alpha * mean_PG + (1 - alpha) * largest_PG)
