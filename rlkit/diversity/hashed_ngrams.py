"""Hashed n-grams: an embedding of the surface of a text that needs no model."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np

from rlkit.parameters import check_choice, check_count
from rlkit.verifiers.normalisation import EMPTY_CLASS, normalise_text


@dataclass(frozen=True)
class HashedNgrams:
    """Counts of the n-grams of a text, each added with a sign of its own to one of `dims` places.

    Signed feature hashing (Weinberger et al. 2009, arXiv 0902.2206, eq. 2): the inner product of two vectors estimates
    that of the full count vectors without bias. The hash is BLAKE2b, so vectors agree between processes and machines
    (Python's own `hash` does not). Texts are normalised first (NFKC, case, white space). A text of fewer than n units
    is one n-gram. Blank texts are rows of NaN.

    Raises:
        ConfigError: a parameter is not allowed.
    """

    n: int = 3
    """Units in an n-gram."""
    dims: int = 512
    """Length of the vectors, E; up to 2**20."""
    unit: str = "char"
    """`char` or `word` (between white space)."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        check_count("hashed_ngrams", "n", self.n)
        check_count("hashed_ngrams", "dims", self.dims, largest=2**20)
        check_choice("hashed_ngrams", "unit", self.unit, ("char", "word"))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return signed counts, float32 of shape (N, dims); not normalised."""
        embeddings_NE = np.full((len(texts), self.dims), np.nan, dtype=np.float32)
        for row_E, text in zip(embeddings_NE, texts, strict=True):
            normalised = normalise_text(text)
            if normalised != EMPTY_CLASS:
                row_E[:] = self._count(normalised)
        return embeddings_NE

    def _count(self, text: str) -> np.ndarray:
        units = list(text) if self.unit == "char" else text.split()
        joint = "" if self.unit == "char" else " "
        runs = zip(*(islice(units, start, None) for start in range(min(self.n, len(units)))), strict=False)
        counts_E = [0] * self.dims
        for gram, count in Counter(map(joint.join, runs)).items():
            number = _hash(gram)
            counts_E[(number >> 1) % self.dims] += count if number & 1 else -count
        return np.array(counts_E, dtype=np.float64)


@lru_cache(maxsize=1 << 16)
def _hash(gram: str) -> int:
    """Return 64 bits of BLAKE2b, remembered: texts repeat each other's short grams, and hashing is most of the cost."""
    return int.from_bytes(hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8).digest())
