"""maj@k against worked numbers, enumeration of all draws, simulation, and laws."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import g_pass_at_k, majority_vote, pass_at_k
from rlkit.estimators.voting import _binomials, _won_by_one, _won_with, exact_operations

classes = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=5)


def maj_at_k(counts: Any, flags: Any, k: int, num_abstained: int = 0) -> float:
    return float(majority_vote(counts, flags, [k], num_abstained).values_K[0])


def enumerate_votes(counts: list[int], flags: list[bool], k: int, num_abstained: int) -> Fraction:
    """Return maj@k by voting on every subset of k samples."""
    labels: list[int | None] = [label for label, count in enumerate(counts) for _ in range(count)]
    credits = []
    for subset in combinations([*labels, *[None] * num_abstained], k):
        votes = Counter(label for label in subset if label is not None)
        winners = [label for label, count in votes.items() if count == max(votes.values())]
        credits.append(Fraction(sum(flags[label] for label in winners), len(winners)) if winners else Fraction(0))
    return sum(credits, Fraction(0)) / len(credits)


def test_golden_numbers() -> None:
    values = majority_vote([5, 4, 2, 1], [True, False, False, False], [1, 2, 3, 4, 5, 8, 12]).values_K
    expected = [0.41666667, 0.41666667, 0.46969697, 0.52525253, 0.55681818, 0.66161616, 1.0]
    np.testing.assert_allclose(values, expected, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(classes, st.integers(0, 3))
def test_equals_the_vote_of_every_subset(drawn: list[tuple[int, bool]], num_abstained: int) -> None:
    counts, flags = [count for count, _ in drawn][:4], [flag for _, flag in drawn][:4]
    for k in range(1, min(sum(counts) + num_abstained, 7) + 1):
        exact = float(enumerate_votes(counts, flags, k, num_abstained))
        assert maj_at_k(counts, flags, k, num_abstained) == pytest.approx(exact, abs=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=8), st.integers(0, 9))
def test_laws(drawn: list[tuple[int, bool]], num_abstained: int) -> None:
    counts, flags = np.array(drawn).T[0], np.array(drawn).T[1].astype(bool)
    n, c = int(counts.sum()) + num_abstained, int(counts[flags].sum())
    values = majority_vote(counts, flags, np.arange(1, n + 1), num_abstained).values_K
    assert values[0] == pytest.approx(c / n, abs=1e-12)
    if n > 1 and num_abstained == 0:
        assert values[1] == pytest.approx(values[0], abs=1e-12)
    assert np.all(values <= np.asarray(pass_at_k(n, c, np.arange(1, n + 1))) + 1e-12)
    modes = counts == counts.max()
    assert values[-1] == pytest.approx(np.mean(flags[modes]))
    order = np.random.default_rng(0).permutation(len(counts))
    np.testing.assert_allclose(
        majority_vote(counts[order], flags[order], [1, n], num_abstained).values_K, values[[0, -1]]
    )


def test_two_classes_are_a_majority_of_flags() -> None:
    for k in (1, 3, 9):
        assert maj_at_k([12, 20], [True, False], k) == pytest.approx(
            g_pass_at_k(32, 12, k, Fraction(k // 2 + 1, k)), abs=1e-13
        )


def test_abstaining_leaves_the_vote_to_the_others() -> None:
    assert maj_at_k([1], [True], 1, num_abstained=3) == pytest.approx(0.25)
    assert maj_at_k([1], [True], 4, num_abstained=3) == 1.0
    assert maj_at_k([2, 3], [True, False], 6, num_abstained=1) == 0.0
    assert maj_at_k([], [], 2, num_abstained=3) == 0.0


def test_a_plurality_wins_where_no_majority_does() -> None:
    counts, flags = [40, 30, 30, 28], [True, False, False, False]
    assert maj_at_k(counts, flags, 64) > 0.75
    assert g_pass_at_k(128, 40, 64, Fraction(33, 64)) < 1e-3


@pytest.mark.parametrize("sizes", [[1] * 256, [100, 60, 40, *[1] * 56], [16] * 16])
def test_exact_values_are_where_simulated_ones_scatter(sizes: list[int]) -> None:
    flags = [label % 3 == 1 for label in range(len(sizes))]
    ks = [2, 16, 64, 128]
    exact = majority_vote(sizes, flags, ks)
    drawn = majority_vote(sizes, flags, ks, max_operations=0, num_draws=4000)
    assert np.all(exact.errors_K == 0)
    assert np.all(drawn.errors_K > 0)
    assert np.all(np.abs(exact.values_K - drawn.values_K) < 4.5 * drawn.errors_K)
    again = majority_vote(sizes, flags, ks, max_operations=0, num_draws=4000)
    np.testing.assert_array_equal(drawn.values_K, again.values_K)


def test_large_numbers_neither_overflow_nor_lose_mass() -> None:
    """Complementary flags of a vote that always has a winner add up to one."""
    rng = np.random.default_rng(0)
    sizes = rng.multinomial(1200, rng.dirichlet(np.full(12, 0.5)))
    flags = np.arange(12) % 2 == 0
    ks = [3, 60, 300]
    votes = [majority_vote(sizes, each, ks, max_operations=10**12).values_K for each in (flags, ~flags)]
    np.testing.assert_allclose(votes[0] + votes[1], 1.0, rtol=1e-10)


def test_costly_ones_are_simulated_and_say_so() -> None:
    sizes, flags = [300, 300, *[2] * 200], [True, *[False] * 201]
    assert exact_operations(sizes, flags, 500) > 100_000_000 > exact_operations(sizes, flags, 64)
    vote = majority_vote(sizes, flags, [64, 500, 1000, 1001])
    assert vote.errors_K[0] == 0.0 < vote.errors_K[1]
    assert (vote.values_K[2], vote.errors_K[2]) == (0.5, 0.0)
    assert np.isnan([vote.values_K[3], vote.errors_K[3]]).all()


def test_draws_that_all_agree_are_not_called_certain() -> None:
    vote = majority_vote([200, 20], [False, True], [100], max_operations=0)
    assert vote.values_K[0] == 0.0
    assert 0 < vote.errors_K[0] < 0.01


def test_undefined_and_refused() -> None:
    assert math.isnan(maj_at_k([2, 1], [True, False], 4))
    assert math.isnan(maj_at_k([], [], 1))
    for arguments, said in (
        (([1, 2], [True], 1), "one count and one flag"),
        (([-1], [True], 1), "negative"),
        (([1.5], [True], 1), "whole numbers"),
        (([1], [True], 0), "at least 1"),
        (([1], [True], 1, -1), "negative"),
    ):
        with pytest.raises(ConfigError, match=said):
            maj_at_k(*arguments)


@pytest.mark.parametrize("largest", [1, 2, 8])
def test_winners_of_one_sample_each_are_those_counted_class_by_class(largest: int) -> None:
    rng = np.random.default_rng(largest)
    for _ in range(100):
        sizes = np.sort(rng.integers(1, largest + 1, rng.integers(1, 30)))
        flags, num_abstained = rng.random(len(sizes)) < 0.4, int(rng.integers(0, 5))
        total = int(sizes.sum()) + num_abstained
        if total < 2:
            continue
        binomials = _binomials(total, int(rng.integers(1, total)))
        pool = binomials.of(num_abstained)
        expected = _won_with(1, list(zip(sizes.tolist(), flags.tolist(), strict=True)), pool, binomials)
        assert _won_by_one(sizes, flags, pool, binomials) == pytest.approx(expected, rel=1e-12, abs=1e-300)
