"""Held out means held out: no set of numbers is in two splits, whatever the order, the target or the seed."""

from __future__ import annotations

import itertools
import random

from rlkit.tasks.countdown_splits import SPLITS, multisets, split_of


def test_splits_are_a_partition_of_all_multisets():
    for num_numbers in (3, 4):
        owned = [set(multisets(split, num_numbers, 13)) for split in SPLITS]
        for one, other in itertools.combinations(owned, 2):
            assert not one & other
        assert set.union(*owned) == set(itertools.combinations_with_replacement(range(1, 14), num_numbers))


def test_shares_are_about_ten_and_twenty_percent():
    counts = {split: len(multisets(split, 4, 13)) for split in SPLITS}
    assert sum(counts.values()) == 1820
    assert 0.08 < counts["validation"] / 1820 < 0.12
    assert 0.18 < counts["test"] / 1820 < 0.22


def test_order_does_not_matter():
    generator = random.Random(0)
    for _ in range(100):
        numbers = [generator.randint(1, 13) for _ in range(5)]
        assert split_of(numbers) == split_of(generator.sample(numbers, 5))


def test_owners_never_change():
    """Published numbers depend on these; a change here is a new task."""
    owners = {(1, 2, 3, 4): "test", (2, 3, 5, 8): "train", (6, 6, 8, 9): "test", (4, 9, 11, 11): "validation"}
    assert {numbers: split_of(numbers) for numbers in owners} == owners
