"""Class diversity against golden numbers, enumeration and the laws that tie the measures together."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import (
    chao1,
    good_turing_coverage,
    hill_number,
    rarefied_distinct,
    shannon_entropy,
    simpson_diversity,
)

COUNTS = [3, 2, 1, 2]
some_counts = st.lists(st.integers(0, 6), min_size=1, max_size=6).filter(lambda counts: sum(counts) > 0)


def test_golden_numbers() -> None:
    assert shannon_entropy(COUNTS) == pytest.approx(1.3208883431)
    assert hill_number(COUNTS, 1) == pytest.approx(3.7467482976)
    assert hill_number(COUNTS, 2) == pytest.approx(3.5555555556)
    assert [hill_number([6, 3, 1], q) for q in (0, 1, 2)] == pytest.approx([3, 2.4545555959, 2.1739130435])
    np.testing.assert_allclose(rarefied_distinct(COUNTS, [1, 2, 4, 8]), [1, 1.8214285714, 3, 4], atol=1e-9)


@given(some_counts)
def test_rarefied_distinct_is_the_mean_over_all_subsets(counts: list[int]) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)][:9]
    counts = list(np.bincount(labels, minlength=len(counts)))
    for k in range(1, min(len(labels), 4) + 1):
        mean = np.mean([len(set(subset)) for subset in combinations(labels, k)])
        assert rarefied_distinct(counts, k) == pytest.approx(mean, rel=1e-12)


def test_wrong_samples_dilute_the_correct_classes() -> None:
    labels = [0, 0, 1, None, None]
    for k in (1, 2, 3, 5):
        mean = np.mean([len(set(subset) - {None}) for subset in combinations(labels, k)])
        assert rarefied_distinct([2, 1], k, num_samples=5) == pytest.approx(mean, rel=1e-12)


@given(some_counts)
def test_hill_numbers_fall_with_the_order(counts: list[int]) -> None:
    numbers = [hill_number(counts, order) for order in (0, 0.5, 1, 1.5, 2, 8, math.inf)]
    assert all(a >= b - 1e-9 for a, b in pairwise(numbers))
    assert numbers[0] == pytest.approx(sum(count > 0 for count in counts))
    assert numbers[-1] >= 1 - 1e-12


@given(some_counts, st.integers(2, 5))
def test_copying_every_sample_changes_no_plug_in_measure(counts: list[int], copies: int) -> None:
    copied = [count * copies for count in counts]
    assert shannon_entropy(copied) == pytest.approx(shannon_entropy(counts), abs=1e-12)


def test_no_samples_are_undefined_and_no_correct_class_is_zero() -> None:
    assert math.isnan(shannon_entropy([]))
    assert math.isnan(hill_number([0, 0], 1))
    assert math.isnan(rarefied_distinct([], 1))
    assert rarefied_distinct([], [1, 4, 5], num_samples=4).tolist()[:2] == [0.0, 0.0]
    assert math.isnan(rarefied_distinct([], 5, num_samples=4))
    assert shannon_entropy([5]) == 0.0


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="more than num_samples"):
        rarefied_distinct([3, 3], 1, num_samples=5)
    with pytest.raises(ConfigError, match="order"):
        hill_number([1], -1)
    with pytest.raises(ConfigError, match="not negative"):
        shannon_entropy([1, -1])


def test_golden_numbers_of_what_was_not_seen() -> None:
    assert simpson_diversity(COUNTS) == pytest.approx(0.8214285714)
    assert chao1(COUNTS) == 4.0
    assert good_turing_coverage(COUNTS) == 0.875


@given(some_counts)
def test_simpson_is_the_share_of_unlike_pairs_and_rarefies_to_two(counts: list[int]) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    if len(labels) < 2:
        assert math.isnan(simpson_diversity(counts))
        return
    unlike = np.mean([a != b for a, b in combinations(labels, 2)])
    assert simpson_diversity(counts) == pytest.approx(unlike, abs=1e-12)
    assert rarefied_distinct(counts, 2) == pytest.approx(1 + unlike, abs=1e-12)
    distinctness = [(len(labels) - labels.count(label)) / (len(labels) - 1) for label in labels]
    assert np.mean(distinctness) == pytest.approx(unlike, abs=1e-12)


@given(some_counts)
def test_estimates_of_the_unseen_never_fall_below_the_seen(counts: list[int]) -> None:
    seen = sum(count > 0 for count in counts)
    assert chao1(counts) >= seen
    assert 0 <= good_turing_coverage(counts) <= 1


def test_corrections_come_closer_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(40))
    drawn = rng.multinomial(60, shares, size=400)
    unseen = np.mean([shares[each == 0].sum() for each in drawn])
    assert 1 - np.mean([good_turing_coverage(each) for each in drawn]) == pytest.approx(unseen, abs=0.02)
    assert np.mean([len(each[each > 0]) for each in drawn]) < np.mean([chao1(each) for each in drawn]) <= 40


def test_nothing_seen_says_nothing_about_the_unseen() -> None:
    for measure in (simpson_diversity, chao1, good_turing_coverage):
        assert math.isnan(measure([]))
        assert math.isnan(measure([0, 0]))
        with pytest.raises(ConfigError):
            measure([-1, 2])
        with pytest.raises(ConfigError, match="whole numbers"):
            measure([0.5])
    assert chao1([1, 1, 1]) == 6.0
    assert good_turing_coverage([1, 1]) == 0.0
