"""Classes in the order of generation, against a worked example and loops."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity.closure import close_pairs
from rlkit.diversity.novelty_bench import (
    distinct_k,
    distinctness,
    partition_by_first_member,
    utility_k,
    utility_of_reward,
)
from rlkit.errors import ConfigError
from rlkit.estimators import simpson_diversity

PARTITION = [0, 0, 1, 0, 2, 1, 0, 3, 0, 0]
UTILITIES = [7, 8, 5, 9, 10, 3, 6, 2, 7, 7]
some_labels = st.lists(st.integers(0, 3), min_size=2, max_size=8)


def test_golden_numbers():
    assert distinct_k(PARTITION) == 4
    assert utility_k(PARTITION, UTILITIES) == pytest.approx(3.2971106392)
    assert distinctness(PARTITION) == pytest.approx(
        [4 / 9 if label == 0 else 8 / 9 if label == 1 else 1.0 for label in PARTITION]
    )
    assert distinctness(PARTITION).mean() == pytest.approx(0.6444444444)


@given(some_labels)
def test_distinctness_is_the_share_of_unlike_others_and_averages_to_simpson(labels):
    shares = [
        np.mean([other != label for place, other in enumerate(labels) if place != at])
        for at, label in enumerate(labels)
    ]
    assert distinctness(labels) == pytest.approx(shares)
    assert distinctness(labels).mean() == pytest.approx(simpson_diversity(np.bincount(labels)))
    assert distinctness(["abcd"[label] for label in labels]) == pytest.approx(shares)


@given(some_labels)
def test_of_transitive_judgements_every_closure_gives_the_same_classes(labels):
    equal = np.equal.outer(labels, labels)
    assert partition_by_first_member(equal).tolist() == close_pairs(equal).tolist()


def test_of_other_judgements_the_order_decides():
    # 1 is like 0 and like 2, which are unlike: in the middle it is the first of all, at an end it is not.
    like = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
    found = {distinct_k(partition_by_first_member(like[np.ix_(order, order)])) for order in permutations(range(3))}
    assert found == {1.0, 2.0}
    assert partition_by_first_member(like).tolist() == [0, 0, 1]


def test_utility_falls_with_repeats_and_late_novelty():
    assert utility_k([0, 1, 2], [10, 10, 10]) == pytest.approx(10)
    assert utility_k([0, 0, 1], [10, 10, 10]) < utility_k([0, 1, 0], [10, 10, 10])
    # A repeat counts for nothing, so its utility need not be known.
    assert utility_k([0, 0], [4, math.nan]) == pytest.approx(4 / 1.8)


def test_rewards_to_utilities():
    rewards = [-100, -7.71875, -7.7, -6.0, -5.9, -2.046875, 0, math.nan]
    expected = [1, 1, 2, 3, 4, 9, 10, math.nan]
    assert [utility_of_reward(reward) for reward in rewards] == pytest.approx(expected, nan_ok=True)


def test_too_few_texts_are_undefined():
    assert math.isnan(distinct_k([]))
    assert math.isnan(utility_k([], []))
    assert np.isnan(distinctness([3])).tolist() == [True]
    assert distinctness([]).shape == (0,)
    assert partition_by_first_member(np.empty((0, 0))).tolist() == []
    assert math.isnan(utility_k([0, 1], [1, math.nan]))
    assert distinctness([0, 0, 0]).tolist() == [0, 0, 0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="patience=1"):
        utility_k([0], [1], patience=1)
    with pytest.raises(ConfigError, match="one utility a label"):
        utility_k([0, 1], [1])
    with pytest.raises(ConfigError, match="row and column"):
        partition_by_first_member(np.ones((2, 3)))
