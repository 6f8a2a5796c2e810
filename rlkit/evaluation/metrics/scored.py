"""What is kept of each scored sample: a few numbers, so that picks by likelihood need no text and little memory."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import best_of_eligible, selection_auroc

FloatArray = NDArray[np.float64]

SCORERS: Mapping[str, tuple[float, bool]] = MappingProxyType(
    {
        "logp_mean": (1.0, True),
        "logp_sum": (1.0, False),
        "surprisal_mean": (-1.0, True),
        "surprisal_sum": (-1.0, False),
    }
)
"""Name -> sign of the log-probability, and whether it is taken a token: the model's confidence, and its opposite."""


@dataclass
class ScoredSamples:
    """The scored samples of one problem, in order of arrival, 18 bytes each."""

    is_correct: bytearray = field(default_factory=bytearray)
    is_eligible: bytearray = field(default_factory=bytearray)
    """Whether it may be picked: it has an answer, or was found correct without one."""
    num_tokens: array[float] = field(default_factory=lambda: array("d"))
    """NaN where unknown, as in logs of other tools."""
    logp_sum: array[float] = field(default_factory=lambda: array("d"))
    """Log-probability of the whole sample; NaN where unknown."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Keep one line of samples.jsonl."""
        logp = record["logp_sum"]
        self.is_correct.append(bool(record["correct"]))
        self.is_eligible.append(bool(record["answer"]) or bool(record["correct"]))
        tokens = record["num_tokens"]
        self.num_tokens.append(float("nan") if tokens is None else tokens)
        self.logp_sum.append(float("nan") if logp is None else logp)

    def scores(self, scorer: str) -> FloatArray:
        """Return the score of each sample, shape (n,); NaN where its log-probability is unknown."""
        sign, is_mean = SCORERS[scorer]
        scores_N = sign * np.array(self.logp_sum, dtype=np.float64)
        if not is_mean:
            return scores_N
        tokens_N = np.array(self.num_tokens, dtype=np.float64)
        return np.asarray(scores_N / np.where(tokens_N > 0, tokens_N, np.nan))

    def pick(self, scorer: str) -> float:
        """Return the success of picking the highest-scored of all samples: `best_of` at their number."""
        size = len(self.is_correct)
        return float(self.best_of(scorer, [size])[0]) if size else float("nan")

    def best_of(self, scorer: str, ks: Sequence[int]) -> FloatArray:
        """Return the success of picking the highest-scored of k samples, never one without an answer, shape (K,).

        NaN where k exceeds the samples, no sample has an answer, or no log-probability is known: a pick at random
        would say nothing about likelihoods.
        """
        scores_N, eligible_N = self.scores(scorer), _flags(self.is_eligible)
        if not eligible_N.any() or np.isnan(scores_N).all():
            return np.full(len(ks), np.nan)
        return np.asarray(best_of_eligible(scores_N, _flags(self.is_correct), ks, eligible_N))

    def logp_auroc(self) -> float:
        """Return the chance that a correct sample is likelier, token for token, than a wrong one."""
        scores_N = self.scores("logp_mean")
        known_N = ~np.isnan(scores_N)
        return selection_auroc(scores_N[known_N], _flags(self.is_correct)[known_N])

    def mean_tokens(self, is_correct: bool) -> float:
        """Return the mean length of the correct samples, or of the others; NaN where there are none."""
        chosen_N = _flags(self.is_correct) == is_correct
        return float(np.array(self.num_tokens)[chosen_N].mean()) if chosen_N.any() else float("nan")


def _flags(flags: bytearray) -> NDArray[np.bool_]:
    # A copy: a view would keep the samples from growing.
    return np.array(flags, dtype=np.uint8).astype(bool) if flags else np.zeros(0, dtype=bool)
