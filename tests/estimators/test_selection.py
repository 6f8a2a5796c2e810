"""Best-of-k and picks by surprisal: worked numbers, enumeration with random ties, and laws."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import (
    best_of_eligible,
    best_of_k,
    pass_at_k,
    selection_auroc,
)

SCORES, CORRECT = [0.1, 0.9, 0.4, 0.4, 0.7, 0.2], [0, 1, 1, 0, 0, 1]
samples = st.lists(
    st.tuples(st.sampled_from([math.nan, -math.inf, 0.0, 0.5, 1.0]), st.integers(0, 1), st.booleans()),
    min_size=1,
    max_size=8,
)


def enumerate_picks(scores: list[float], values: list[float], k: int, eligible: list[bool] | None = None) -> float:
    """Return the mean worth of the pick over every subset; equal scores share it, no pick is worth 0."""
    ranks = [(-1.0, 0.0) if math.isnan(score) else (0.0, score) for score in scores]
    picks = []
    for subset in combinations(range(len(scores)), k):
        allowed = [i for i in subset if eligible is None or eligible[i]]
        best = [i for i in allowed if ranks[i] == max(ranks[j] for j in allowed)]
        picks.append(np.mean([values[i] for i in best]) if best else 0.0)
    return float(np.mean(picks))


def test_golden_numbers() -> None:
    np.testing.assert_allclose(best_of_k(SCORES, CORRECT, [1, 2, 3, 6]), [0.5, 0.5666666667, 0.6, 1.0], atol=1e-10)


@given(samples)
def test_equals_the_pick_from_every_subset(drawn: list[tuple[float, int, bool]]) -> None:
    scores, values, eligible = map(list, zip(*drawn, strict=True))
    for k in range(1, len(drawn) + 1):
        assert best_of_k(scores, values, k) == pytest.approx(enumerate_picks(scores, values, k), abs=1e-12)
        expected = enumerate_picks(scores, values, k, eligible)
        assert best_of_eligible(scores, values, k, eligible) == pytest.approx(expected, abs=1e-12)


@given(samples)
def test_laws(drawn: list[tuple[float, int, bool]]) -> None:
    scores, flags, _ = map(list, zip(*drawn, strict=True))
    n, c = len(flags), sum(flags)
    ks = np.arange(1, n + 1)
    np.testing.assert_allclose(best_of_k(flags, flags, ks), pass_at_k(n, c, ks), atol=1e-12)
    np.testing.assert_allclose(best_of_k([7.0] * n, flags, ks), c / n, atol=1e-12)
    assert np.all(np.asarray(best_of_k(scores, flags, ks)) <= np.asarray(pass_at_k(n, c, ks)) + 1e-12)
    assert best_of_k(scores, flags, 1) == pytest.approx(c / n, abs=1e-12)


def test_graded_rewards_as_their_own_scores_give_their_expected_maximum() -> None:
    rewards = [0.0, 0.25, 0.25, 1.0, -2.0]
    for k in range(1, 6):
        expected = np.mean([max(subset) for subset in combinations(rewards, k)])
        assert best_of_k(rewards, rewards, k) == pytest.approx(expected, abs=1e-12)


def test_agrees_with_scorio_where_k_is_defined() -> None:
    scorio = pytest.importorskip("scorio.eval")
    rubric = np.array([[0, 1, 2, 2, 1, 0, 0, 1]])
    for k in (1, 3, 8):
        rewards = np.array([0.0, 0.5, 2.0])[rubric[0]]
        assert scorio.max_at_k(rubric, k, np.array([0.0, 0.5, 2.0])) == pytest.approx(best_of_k(rewards, rewards, k))


def test_nan_scores_rank_lowest() -> None:
    assert best_of_k([math.nan, -math.inf], [1, 0], 2) == 0.0
    assert best_of_k([math.nan, math.nan], [1, 0], 2) == 0.5


def test_surprisal_picks_the_least_likely_of_the_eligible() -> None:
    logps, success, compiles = [-0.1, -0.5, -2.0, -3.0], [0, 1, 1, 0], [True, True, True, False]
    surprisals = [-each for each in logps]
    assert best_of_eligible(surprisals, success, 4) == 0.0
    assert best_of_eligible(surprisals, success, 4, compiles) == 1.0
    assert best_of_eligible(logps, success, 4, compiles) == 0.0
    for k in (1, 2, 3):
        expected = enumerate_picks(surprisals, success, k, compiles)
        assert best_of_eligible(surprisals, success, k, compiles) == pytest.approx(expected)
    assert best_of_eligible(surprisals, success, 2, [False] * 4) == 0.0


def test_auroc_is_the_share_of_ordered_pairs() -> None:
    pairs = [
        1.0 if good > bad else 0.5 if good == bad else 0.0
        for good, right in zip(SCORES, CORRECT, strict=True)
        for bad, other in zip(SCORES, CORRECT, strict=True)
        if right and not other
    ]
    assert selection_auroc(SCORES, CORRECT) == pytest.approx(np.mean(pairs))
    assert selection_auroc([1, 2], [0, 1]) == 1.0
    assert selection_auroc([math.nan, 2], [1, 0]) == 0.0
    assert selection_auroc([3, 3], [1, 0]) == 0.5
    assert math.isnan(selection_auroc([1, 2], [1, 1]))
    assert math.isnan(selection_auroc([], []))


def test_undefined_and_refused() -> None:
    assert math.isnan(best_of_k([1.0], [1], 2))
    assert math.isnan(best_of_k([], [], 1))
    assert best_of_k([1.0, 2.0], [0, 1], [[1, 2]]).shape == (1, 2)
    for arguments, said in (
        (([1.0], [1, 0], 1), "one score and one value"),
        (([1.0], [math.nan], 1), "finite values"),
        (([1.0], [1], 0), "at least 1"),
        (([1.0], [1], 1.5), "whole numbers"),
    ):
        with pytest.raises(ConfigError, match=said):
            best_of_k(*arguments)
    with pytest.raises(ConfigError, match="is_eligible"):
        best_of_eligible([1.0], [1.0], 1, [True, False])
