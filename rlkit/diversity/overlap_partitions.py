"""Partitions by a measured similarity and a threshold: equations, word n-grams, embeddings."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.diversity.contract import read_vectors
from rlkit.diversity.embeddings import measure_cosines, resolve_embedding
from rlkit.diversity.equations import find_equations
from rlkit.diversity.ngrams import overlap, word_ngrams
from rlkit.diversity.text_partition import PairwiseTextPartition
from rlkit.parameters import check_choice, check_count, check_number
from rlkit.verifiers.normalisation import EMPTY_CLASS, normalise_text

Hashes = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class EquationSet(PairwiseTextPartition):
    """Two completions are the same when they use the same equations: Jaccard of the sets at least `threshold`.

    See `rlkit.diversity.equations.find_equations` for what an equation is. The order of the equations does not count,
    and reasoning in words goes unseen. Completions without any equation are the same when their normalised texts are
    equal, and never the same as one with equations. The threshold is a starting point, not a calibrated value.
    """

    threshold: float = 0.8
    """Smallest share of common equations, in (0, 1]; 1 asks for equal sets."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        super().__post_init__()
        check_number("equation_set", "threshold", self.threshold, above=0, at_most=1)

    def boil_down(self, texts: list[str]) -> list[Hashes | str]:
        found = [find_equations(text) for text in texts]
        return [
            _hash_all(each) if each else f"text:{normalise_text(text)}" for each, text in zip(found, texts, strict=True)
        ]

    def judge(self, features_M: Sequence[Hashes | str]) -> np.ndarray:
        return np.array([[self._is_same(left, right) for right in features_M] for left in features_M])

    def _is_same(self, left: Hashes | str, right: Hashes | str) -> bool:
        if isinstance(left, str) or isinstance(right, str):
            return left == right
        return overlap(Counter(left), Counter(right), "jaccard") >= self.threshold


@dataclass(frozen=True, kw_only=True)
class NgramOverlap(PairwiseTextPartition):
    """Two completions are the same when they share enough of their word n-grams. Sees the surface only.

    Texts are normalised first (NFKC, case, white space). The default is Jaccard of the sets of 4-grams at 0.46, a
    starting point: copies and light edits are one class, the same idea in other words is not. The one cut with a
    source is NoveltyBench's for ROUGE-1 on short open-ended answers (arXiv 2504.05228): `n: 1, measure: f1,
    threshold: 0.458`; on traces of one problem it calls almost everything the same, since they share their words.
    """

    n: int = 4
    """Words in an n-gram; a text of fewer words is one gram."""
    threshold: float = 0.46
    """Smallest overlap, in (0, 1]."""
    measure: str = "jaccard"
    """`jaccard` of the sets, or `f1`, which counts repetitions (with n = 1: ROUGE-1's F)."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        super().__post_init__()
        check_count("ngram_overlap", "n", self.n)
        check_number("ngram_overlap", "threshold", self.threshold, above=0, at_most=1)
        check_choice("ngram_overlap", "measure", self.measure, ("jaccard", "f1"))

    def boil_down(self, texts: list[str]) -> list[Hashes]:
        grams = [word_ngrams(text, self.n) for text in texts]
        return [_hash_all(set(each) if self.measure == "jaccard" else each) for each in grams]

    def judge(self, features_M: Sequence[Hashes]) -> np.ndarray:
        counts_M = [Counter(feature) for feature in features_M]
        overlaps = [[overlap(left, right, self.measure) for right in counts_M] for left in counts_M]
        return np.array(overlaps) >= self.threshold


@dataclass(frozen=True, kw_only=True)
class EmbeddingPartition(PairwiseTextPartition):
    """Two completions are the same when the cosine of their embeddings is at least `threshold`.

    Cosines depend on the encoder, on length and on style, and traces of one problem are all close: calibrate the
    threshold on labelled pairs. The default embedding needs no model and sees the surface only; for meaning, name a
    sentence encoder, `{name: sentence_embedding, model: ...}`. A text that the embedding has no vector for counts as
    empty.
    """

    embedding: Any = "hashed_ngrams"
    """An embedding as a recipe names it, or the object."""
    threshold: float = 0.9
    """Smallest cosine, in (0, 1]."""

    def __post_init__(self) -> None:
        """Check every parameter and build the embedding."""
        super().__post_init__()
        check_number("embedding", "threshold", self.threshold, above=0, at_most=1)
        object.__setattr__(self, "embedding", resolve_embedding(self.embedding))

    def boil_down(self, texts: list[str]) -> list[np.ndarray | str]:
        return [EMPTY_CLASS if np.isnan(row_E).any() else row_E for row_E in read_vectors(self.embedding, texts)]

    def judge(self, features_M: Sequence[np.ndarray]) -> np.ndarray:
        # Equal vectors are the same at any threshold, whatever rounding says of their cosine.
        return measure_cosines(np.stack(list(features_M))) >= self.threshold - 1e-9


def _hash_all(texts: Iterable[str]) -> Hashes:
    """Return 64-bit hashes in ascending order, the same in every process: small enough to travel."""
    digests = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return tuple(sorted(int.from_bytes(digest) for digest in digests))
