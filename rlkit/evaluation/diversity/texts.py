"""Diversity of the texts of one problem, measured so that problems and models with other numbers of samples compare.

What grows with the number of texts is a mean over disjoint blocks of a fixed number K of them, and its name ends in
`_at_K`; means over pairs do not grow and take all texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np

from rlkit.diversity.bleu import self_bleu
from rlkit.diversity.compression import compression_ratio
from rlkit.diversity.lexical import EAD_ORDERS, adjust_distinct
from rlkit.diversity.ngram_table import number_ngrams
from rlkit.diversity.vendi import vendi_scores_of_kernels

BLOCKS = (4, 16)
"""Texts in a block: 4, which problems with few correct samples still have, and 16, which sees more."""
SELF_BLEU_TEXTS = 4
VENDI_ORDERS = (1, 2)


@dataclass(frozen=True)
class TextTable:
    """The texts of one problem, counted and embedded once for all of the sets that are measured."""

    texts: Sequence[str]
    has_NU: np.ndarray
    """Whether a text has an n-gram, shape (N, U), those of one order side by side."""
    ends_O: Sequence[int]
    """Where the n-grams of each order end."""
    totals_NO: np.ndarray
    """N-grams of each text by order."""
    cosines: Mapping[str, np.ndarray]
    """Cosines of all pairs, (N, N), by the name of the embedding."""

    @classmethod
    def build(cls, texts: Sequence[str], unit_NE: Mapping[str, np.ndarray]) -> TextTable:
        """Build from texts and the unit vectors of their embeddings."""
        cosines = {name: np.clip(rows @ rows.T, -1.0, 1.0) for name, rows in unit_NE.items()}
        tables = number_ngrams(texts, EAD_ORDERS).values()
        ends_O = list(accumulate(table.num_numbers for table in tables))
        has_NU = np.zeros((len(texts), ends_O[-1]), dtype=bool)
        for start, table in zip((0, *ends_O), tables, strict=False):
            has_NU[table.owners_C, start + table.numbers_C] = True
        totals_ON = [np.bincount(table.owners_C, minlength=len(texts)) for table in tables]
        return cls(texts, has_NU, ends_O, np.stack(totals_ON, axis=1), cosines)

    def measure(self, sets: Sequence[np.ndarray], vocabulary_size: int, with_self_bleu: bool) -> list[dict[str, float]]:
        """Return the diversity of some of the texts by metric, for each set; NaN where there are too few for it.

        Args:
            sets: places of the texts, in sampling order.
            vocabulary_size: V of `ead`.
            with_self_bleu: whether sacrebleu is there.
        """
        values: list[dict[str, float]] = [{} for _ in sets]
        for size in BLOCKS:
            blocks = [cut_blocks(chosen, size) for chosen in sets]
            owners_B = np.repeat(np.arange(len(sets)), [len(each) for each in blocks])
            columns = self._measure_blocks(np.concatenate(blocks), vocabulary_size)
            for at, found in enumerate(values):
                found |= {name: mean_defined(column_B[owners_B == at]) for name, column_B in columns.items()}
        for chosen, found in zip(sets, values, strict=True):
            if with_self_bleu:
                found[f"self_bleu_at_{SELF_BLEU_TEXTS}"] = self._self_bleu(chosen)
            found |= {distance_name(name): _distance(cosines, chosen) for name, cosines in self.cosines.items()}
        return values

    def _measure_blocks(self, blocks_BK: np.ndarray, vocabulary_size: int) -> dict[str, np.ndarray]:
        """Return the diversity of blocks of texts by metric, NaN where a block has none."""
        size = blocks_BK.shape[1]
        columns = self._count_words(blocks_BK, vocabulary_size)
        for name, cosines_NN in self.cosines.items():
            columns |= _vendi(cosines_NN, blocks_BK, name)
        if size == BLOCKS[-1]:
            ratios = {block: self._compression(block) for block in {*map(tuple, blocks_BK.tolist())}}
            columns[f"compression_at_{size}"] = np.array([ratios[tuple(block)] for block in blocks_BK.tolist()])
        return columns

    def _count_words(self, blocks_BK: np.ndarray, vocabulary_size: int) -> dict[str, np.ndarray]:
        size, at = blocks_BK.shape[1], EAD_ORDERS.index(2)
        unique_BO = np.array([self._count_distinct(block) for block in blocks_BK], dtype=np.int64)
        unique_BO = unique_BO.reshape(len(blocks_BK), len(EAD_ORDERS))
        totals_BO = self.totals_NO[blocks_BK].sum(axis=1)
        with np.errstate(invalid="ignore"):
            distinct_B = unique_BO[:, at] / totals_BO[:, at]
        return {
            f"distinct_2_at_{size}": distinct_B,
            f"ead_at_{size}": adjust_distinct(unique_BO, totals_BO, vocabulary_size),
        }

    def _count_distinct(self, block: np.ndarray) -> list[int]:
        has_U = self.has_NU[block].any(axis=0)
        return [int(np.count_nonzero(has_U[start:end])) for start, end in pairwise((0, *self.ends_O))]

    def _compression(self, block: tuple[int, ...]) -> float:
        return compression_ratio([self.texts[at] for at in block])

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


def _vendi(cosines_NN: np.ndarray, blocks_BK: np.ndarray, name: str) -> dict[str, np.ndarray]:
    kernels_BKK = cosines_NN[blocks_BK[:, :, None], blocks_BK[:, None, :]]
    scores_BQ = vendi_scores_of_kernels(kernels_BKK, VENDI_ORDERS, are_checked=True)
    size = blocks_BK.shape[1]
    return {f"vendi_{order}_{name}_at_{size}": column for order, column in zip(VENDI_ORDERS, scores_BQ.T, strict=True)}


def _distance(cosines_NN: np.ndarray, chosen: np.ndarray) -> float:
    num = len(chosen)
    if num < 2:
        return math.nan
    inside = cosines_NN[np.ix_(chosen, chosen)]
    return max(1.0 - float(inside.sum() - inside.trace()) / (num * (num - 1)), 0.0)
