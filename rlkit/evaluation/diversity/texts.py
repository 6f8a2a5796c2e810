"""Diversity of the texts of one problem, measured so that problems and models with other numbers of samples compare.

What grows with the number of texts is a mean over disjoint blocks of a fixed number K of them, and its name ends in
`_at_K`; means over pairs do not grow and take all texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rlkit.diversity.bleu import self_bleu
from rlkit.diversity.compression import compression_ratio
from rlkit.diversity.lexical import EAD_ORDERS, adjust_distinct
from rlkit.diversity.ngram_table import NgramTable, number_ngrams
from rlkit.diversity.vendi import vendi_scores_of_kernels

BLOCKS = (4, 16)
"""Texts in a block: 4, which problems with few correct samples still have, and 16, which sees more."""
SELF_BLEU_TEXTS = 4
VENDI_ORDERS = (1, 2)


@dataclass(frozen=True)
class TextTable:
    """The texts of one problem, counted and embedded once for all of the sets that are measured."""

    texts: Sequence[str]
    ngrams: Mapping[int, NgramTable]
    cosines: Mapping[str, np.ndarray]
    """Cosines of all pairs, (N, N), by the name of the embedding."""

    @classmethod
    def build(cls, texts: Sequence[str], unit_NE: Mapping[str, np.ndarray]) -> TextTable:
        """Build from texts and the unit vectors of their embeddings."""
        cosines = {name: np.clip(rows @ rows.T, -1.0, 1.0) for name, rows in unit_NE.items()}
        return cls(texts, number_ngrams(texts, EAD_ORDERS), cosines)

    def measure(self, chosen: np.ndarray, vocabulary_size: int, with_self_bleu: bool) -> dict[str, float]:
        """Return the diversity of some of the texts by metric; NaN where there are too few for it.

        Args:
            chosen: places of the texts, in sampling order.
            vocabulary_size: V of `ead`.
            with_self_bleu: whether sacrebleu is there.
        """
        values: dict[str, float] = {}
        for size in BLOCKS:
            blocks_BK = cut_blocks(chosen, size)
            values |= self._count_words(blocks_BK, vocabulary_size)
            for name, cosines_NN in self.cosines.items():
                values |= _vendi(cosines_NN, blocks_BK, name)
        largest_BK = cut_blocks(chosen, BLOCKS[-1])
        ratios = [compression_ratio([self.texts[at] for at in block]) for block in largest_BK]
        values[f"compression_at_{BLOCKS[-1]}"] = mean_defined(ratios)
        if with_self_bleu:
            values[f"self_bleu_at_{SELF_BLEU_TEXTS}"] = self._self_bleu(chosen)
        return values | {distance_name(name): _distance(cosines, chosen) for name, cosines in self.cosines.items()}

    def _count_words(self, blocks_BK: np.ndarray, vocabulary_size: int) -> dict[str, float]:
        size = blocks_BK.shape[1]
        counts = [self.ngrams[n].count(blocks_BK) for n in EAD_ORDERS]
        unique_BO, totals_BO = (np.stack(columns, axis=1) for columns in zip(*counts, strict=True))
        at = EAD_ORDERS.index(2)
        some_B = totals_BO[:, at] > 0
        return {
            f"distinct_2_at_{size}": mean_defined(unique_BO[some_B, at] / totals_BO[some_B, at]),
            f"ead_at_{size}": mean_defined(adjust_distinct(unique_BO, totals_BO, vocabulary_size)),
        }

    def _self_bleu(self, chosen: np.ndarray) -> float:
        written = [self.texts[at] for at in chosen if self.texts[at].strip()][:SELF_BLEU_TEXTS]
        return _self_bleu_once(*written) if len(written) == SELF_BLEU_TEXTS else math.nan


@lru_cache(maxsize=4)
def _self_bleu_once(*texts: str) -> float:
    """Return `self_bleu`, remembered: the scopes of a problem often begin with the same texts."""
    return self_bleu(texts)


def cut_blocks(places: np.ndarray, size: int) -> np.ndarray:
    """Return as many blocks of `size` places as there are, in order, shape (B, size); the rest is left out."""
    return places[: len(places) // size * size].reshape(-1, size)


def mean_defined(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean of the values that are not NaN, NaN when there is none."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return float(array.mean()) if len(array) else math.nan


def distance_name(embedding: str) -> str:
    """Return what the mean cosine distance is called, sentence encoders being told from counts of the surface."""
    return f"distance_{embedding}" if embedding == "hashed_ngrams" else f"sbert_distance_{embedding}"


def _vendi(cosines_NN: np.ndarray, blocks_BK: np.ndarray, name: str) -> dict[str, float]:
    kernels_BKK = cosines_NN[blocks_BK[:, :, None], blocks_BK[:, None, :]]
    scores_BQ = vendi_scores_of_kernels(kernels_BKK, VENDI_ORDERS)
    size = blocks_BK.shape[1]
    return {
        f"vendi_{order}_{name}_at_{size}": mean_defined(column)
        for order, column in zip(VENDI_ORDERS, scores_BQ.T, strict=True)
    }


def _distance(cosines_NN: np.ndarray, chosen: np.ndarray) -> float:
    num = len(chosen)
    if num < 2:
        return math.nan
    inside = cosines_NN[np.ix_(chosen, chosen)]
    return max(1.0 - float(inside.sum() - inside.trace()) / (num * (num - 1)), 0.0)
