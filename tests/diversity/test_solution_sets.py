"""Solutions against the set of all: Countdown keys, coverage and divergence, equation sets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.arithmetic import solution_key
from rlkit.diversity.equations import find_equations
from rlkit.diversity.solution_sets import cover_solutions, set_jaccard_distance
from rlkit.errors import ConfigError
from rlkit.estimators import rarefied_distinct


def test_six_countdown_strings_are_three_solutions():
    texts = ["(3+5)*2+8", "8+2*(5+3)", "2*(3+5)+8", "3*8", "8*3", "3*8*1"]
    keys = [solution_key(text) for text in texts]
    assert keys[0] == keys[1] == keys[2] == "S(+8,+P(*2,*S(+3,+5)))"
    assert keys[3] == keys[4]
    assert len({*keys}) == 3


def test_spread_over_a_known_set():
    spread = cover_solutions([6, 3, 1], num_solutions=8, k=4, num_samples=20)
    assert spread.coverage == pytest.approx(rarefied_distinct([6, 3, 1], 4, 20) / 8)
    shares = np.array([0.6, 0.3, 0.1])
    assert spread.kl_to_uniform == pytest.approx(np.sum(shares * np.log(shares * 8)))
    assert spread.entropy == pytest.approx(-np.sum(shares * np.log(shares)))
    assert spread.largest_entropy == math.log(8)


def test_even_spread_has_no_divergence_and_one_solution_all_of_it():
    even = cover_solutions([5, 5, 5], 3, k=15)
    assert (even.coverage, even.kl_to_uniform) == pytest.approx((1.0, 0.0), abs=1e-12)
    assert cover_solutions([15], 3, k=2).kl_to_uniform == pytest.approx(math.log(3))
    assert cover_solutions([4], 1, k=1).kl_to_uniform == 0.0


def test_no_correct_sample_covers_nothing_and_has_no_spread():
    nothing = cover_solutions([], 5, k=4, num_samples=16)
    assert nothing.coverage == 0.0
    assert math.isnan(nothing.entropy)
    assert math.isnan(nothing.kl_to_uniform)
    assert math.isnan(cover_solutions([2], 5, k=4).coverage)


def test_more_solutions_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="set of 2"):
        cover_solutions([1, 1, 1], 2, k=1)
    with pytest.raises(ConfigError, match="num_solutions=0"):
        cover_solutions([], 0, k=1)


def test_ways_of_solving_by_their_equations():
    texts = ["3 + 5 = 8, 8 * 2 = 16", "5 + 3 = 8 and 2 * 8 = 16", "3 * 2 = 6, 5 * 2 = 10, 6 + 10 = 16", "no equation"]
    sets = [find_equations(text) for text in texts]
    assert set_jaccard_distance(sets[:2]) == 0.0
    assert set_jaccard_distance([sets[0], sets[2]]) == 1.0
    assert set_jaccard_distance(sets) == pytest.approx(5 / 6)
    assert math.isnan(set_jaccard_distance([sets[3], sets[3]]))
    assert math.isnan(set_jaccard_distance(sets[:1]))
