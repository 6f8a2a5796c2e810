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

_ASCII_BITS = 7
_LONGEST_IN_TABLE = 3
"""Characters of an n-gram up to which all hashes of ASCII fit a table, of 16 MB."""


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
        normalised = [normalise_text(text) for text in texts]
        is_plain = [self._is_plain(text) and text != EMPTY_CLASS for text in normalised]
        plain = [text for text, each in zip(normalised, is_plain, strict=True) if each]
        embeddings_NE[np.array(is_plain, dtype=bool)] = self._count_plain(plain)
        for row_E, text, each in zip(embeddings_NE, normalised, is_plain, strict=True):
            if not each and text != EMPTY_CLASS:
                row_E[:] = self._count(text)
        return embeddings_NE

    def _is_plain(self, text: str) -> bool:
        """Return whether a text is counted by `_count_plain`: so few n-grams are possible that a table holds them."""
        return self.unit == "char" and self.n <= _LONGEST_IN_TABLE and text.isascii() and len(text) >= self.n

    def _count_plain(self, texts: Sequence[str]) -> np.ndarray:
        """Return what `_count` gives of each ASCII text, all at once, shape (N, dims)."""
        codes_C = np.frombuffer("".join(texts).encode(), dtype=np.uint8).astype(np.int64)
        grams_C = codes_C[: len(codes_C) - self.n + 1].copy()
        for at in range(1, self.n):
            grams_C = (grams_C << _ASCII_BITS) | codes_C[at : len(grams_C) + at]
        owners_C = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        # None crosses from one text into the next.
        within_C = owners_C[: len(grams_C)] == owners_C[self.n - 1 :]
        numbers_C = _hash_plain(grams_C[within_C], self.n)
        places_C = owners_C[: len(grams_C)][within_C] * self.dims + ((numbers_C >> 1) % self.dims).astype(np.int64)
        signs_C = np.where(numbers_C & 1, 1.0, -1.0)
        return np.bincount(places_C, signs_C, len(texts) * self.dims).reshape(len(texts), self.dims)

    def _count(self, text: str) -> np.ndarray:
        units = list(text) if self.unit == "char" else text.split()
        joint = "" if self.unit == "char" else " "
        runs = zip(*(islice(units, start, None) for start in range(min(self.n, len(units)))), strict=False)
        counts_E = [0] * self.dims
        for gram, count in Counter(map(joint.join, runs)).items():
            number = _hash(gram)
            counts_E[(number >> 1) % self.dims] += count if number & 1 else -count
        return np.array(counts_E, dtype=np.float64)


def _hash_plain(grams_C: np.ndarray, n: int) -> np.ndarray:
    """Return the hash of each n-gram of ASCII, given as 7 bits a character; uint64 of the same shape."""
    table = _plain_hashes(n)
    numbers_C = table[grams_C]
    if not numbers_C.all():
        for gram in np.unique(grams_C[numbers_C == 0]).tolist():
            codes = [(gram >> _ASCII_BITS * (n - 1 - at)) & (1 << _ASCII_BITS) - 1 for at in range(n)]
            table[gram] = _hash("".join(map(chr, codes)))
        numbers_C = table[grams_C]
    return numbers_C


@lru_cache
def _plain_hashes(n: int) -> np.ndarray:
    """Return the table that `_hash_plain` fills, 0 for what it has not met; memory is taken as it is filled."""
    return np.zeros(1 << _ASCII_BITS * n, dtype=np.uint64)


@lru_cache(maxsize=1 << 16)
def _hash(gram: str) -> int:
    """Return 64 bits of BLAKE2b, remembered: texts repeat each other's short grams, and hashing is most of the cost."""
    return int.from_bytes(hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8).digest())
