"""Which split a set of numbers belongs to: a fixed hash of the sorted multiset, so that no seed can leak one.

Numbers that were seen in training, in any order and with any target, are never seen in `validation` or `test`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Sequence

SPLITS = ("train", "validation", "test")

_SHARES = {"validation": 10, "test": 20}
"""Percent of the multisets that each held-out split owns; the rest is `train`."""


def split_of(numbers: Sequence[int]) -> str:
    """Return the split that owns this multiset of numbers."""
    label = ",".join(map(str, sorted(numbers)))
    percentile = int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big") % 100
    bound = 0
    for split, share in _SHARES.items():
        bound += share
        if percentile < bound:
            return split
    return "train"


@functools.cache
def multisets(split: str, num_numbers: int, max_number: int) -> tuple[tuple[int, ...], ...]:
    """Return every ascending multiset of `num_numbers` numbers in 1..`max_number` that `split` owns, sorted."""
    candidates = itertools.combinations_with_replacement(range(1, max_number + 1), num_numbers)
    return tuple(numbers for numbers in candidates if split_of(numbers) == split)
