"""Corrections for undrawn classes: golden numbers, enumeration, and what they do to known distributions."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import (
    chao1_classes,
    good_turing_coverage,
    hill_number,
    miller_madow_entropy,
    rarefied_distinct,
    shannon_entropy,
    simpson_index,
)

# The answers 12, 12, 12, 7, 7, x, and twice none.
COUNTS = [3, 2, 1, 2]
ALL = (simpson_index, miller_madow_entropy, chao1_classes, good_turing_coverage)


def test_golden_numbers() -> None:
    assert simpson_index(COUNTS) == pytest.approx(0.8214285714)
    assert miller_madow_entropy(COUNTS) == pytest.approx(1.5083883431)
    assert chao1_classes(COUNTS) == 4.0
    assert good_turing_coverage(COUNTS) == 0.875
    assert shannon_entropy(COUNTS) / math.log(2) == pytest.approx(1.9056390623)
    assert shannon_entropy(COUNTS) / math.log(8) == pytest.approx(0.6352130207)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(lambda counts: 2 <= sum(counts) <= 9))
def test_simpson_is_the_share_of_unlike_pairs_and_one_less_than_two_rarefied_classes(counts: list[int]) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    unlike = np.mean([left != right for left, right in combinations(labels, 2)])
    assert simpson_index(counts) == pytest.approx(unlike, abs=1e-12)
    assert simpson_index(counts) == pytest.approx(rarefied_distinct(counts, 2) - 1, abs=1e-12)
    n = len(labels)
    assert simpson_index(counts) == pytest.approx(n / (n - 1) * (1 - 1 / hill_number(counts, 2)), abs=1e-12)


def test_corrections_come_closer_to_the_truth_than_plug_ins() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    draws = rng.multinomial(20, shares, size=400)
    truth = -np.sum(shares * np.log(shares))
    plain = np.mean([shannon_entropy(counts) for counts in draws])
    corrected = np.mean([miller_madow_entropy(counts) for counts in draws])
    assert abs(corrected - truth) < abs(plain - truth) / 3
    seen = np.mean([(counts > 0) @ shares for counts in draws])
    assert np.mean([good_turing_coverage(counts) for counts in draws]) == pytest.approx(seen, abs=0.01)
    assert np.mean([simpson_index(counts) for counts in draws]) == pytest.approx(1 - np.sum(shares**2), abs=0.01)


@pytest.mark.parametrize("measure", ALL)
def test_nothing_drawn_is_undefined(measure) -> None:
    assert math.isnan(measure([]))
    assert math.isnan(measure([0, 0]))
    assert math.isnan(simpson_index([1]))
    with pytest.raises(ConfigError, match="whole"):
        measure([0.5])
    with pytest.raises(ConfigError, match="not negative"):
        measure([3, -1])
