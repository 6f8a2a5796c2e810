"""The n-grams of several texts as integers: counting distinct ones is indexing, and nothing can collide."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from rlkit.errors import ConfigError
from rlkit.parameters import check_count
from rlkit.verifiers.normalisation import EMPTY_CLASS, split_normalised

Tokens = str | Sequence[Hashable]
"""A text, which is split into words, or the tokens of one, whatever they are (a model's ids, say)."""


def split_words(text: str) -> list[str]:
    """Return the words of a text between white space, after NFKC and case folding; none for a blank one."""
    words = split_normalised(text)
    # Only what is not white space before NFKC can be so after it.
    return words or ([EMPTY_CLASS] if text.strip() else [])


@dataclass(frozen=True)
class NgramTable:
    """Every n-gram of N texts, for one n; none crosses from one text into the next, and short texts have none."""

    numbers_C: np.ndarray
    """Which n-gram it is, int64 of shape (C,): equal numbers are equal n-grams."""
    owners_C: np.ndarray
    """Which text it stands in, int64 of shape (C,), ascending."""
    num_texts: int
    num_numbers: int
    """One more than the largest number."""

    def count(self, blocks_BK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how many distinct and how many n-grams there are in each block of texts.

        Args:
            blocks_BK: places of texts, integers of shape (B, K); no text is in two blocks.

        Returns:
            Two int64 vectors of shape (B,): distinct n-grams, n-grams.
        """
        num_blocks = len(blocks_BK)
        block_of_N = np.full(self.num_texts, -1)
        block_of_N[blocks_BK] = np.arange(num_blocks)[:, None]
        block_C = block_of_N[self.owners_C]
        inside_C = block_C >= 0
        seen_BU = np.zeros((num_blocks, self.num_numbers), dtype=bool)
        seen_BU[block_C[inside_C], self.numbers_C[inside_C]] = True
        return seen_BU.sum(axis=1), np.bincount(block_C[inside_C], minlength=num_blocks)


def number_ngrams(texts: Sequence[Tokens], orders: Sequence[int]) -> dict[int, NgramTable]:
    """Return the table of n-grams for each n that is asked for; time linear in the tokens, but for sorting.

    Raises:
        ConfigError: an order is not a whole number of at least 1, or `texts` is one text.
    """
    if isinstance(texts, str):
        raise ConfigError("One text was given where several are compared; write a list of texts.")
    for order in orders:
        check_count("number_ngrams", "n", order)
    tokens_N = [split_words(text) if isinstance(text, str) else text for text in texts]
    lengths_N = np.array([len(tokens) for tokens in tokens_N], dtype=np.int64)
    owners_T = np.repeat(np.arange(len(texts)), lengths_N)
    joined = list(chain.from_iterable(tokens_N))
    ids = {token: number for number, token in enumerate(dict.fromkeys(joined))}
    ids_T = np.fromiter(map(ids.__getitem__, joined), dtype=np.int64, count=len(joined))
    tables = {}
    for n, numbers in enumerate(_number_runs(ids_T, max(orders, default=0)), start=1):
        if n in orders:
            starts = np.arange(len(numbers))
            whole = owners_T[starts] == owners_T[starts + n - 1]
            num_numbers = int(numbers.max()) + 1 if len(numbers) else 0
            tables[n] = NgramTable(numbers[whole], owners_T[starts[whole]], len(texts), num_numbers)
    return tables


def _number_runs(ids_T: np.ndarray, longest: int) -> Iterator[np.ndarray]:
    """Yield, for n = 1, 2, ..., a number for the n tokens from each place on: equal runs, equal numbers."""
    num_tokens = int(ids_T.max()) + 1 if len(ids_T) else 1
    numbers = ids_T
    for n in range(1, longest + 1):
        if n > 1:
            # Both factors are below the number of tokens, so the product fits 64 bits.
            pairs = numbers[: max(len(ids_T) - n + 1, 0)] * num_tokens + ids_T[n - 1 :]
            numbers = np.unique(pairs, return_inverse=True)[1].reshape(-1)
        yield numbers
