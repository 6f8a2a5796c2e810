"""Entropy of meanings: by counts, by likelihoods, and where likelihoods underflow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity.meanings import semantic_entropy
from rlkit.errors import ConfigError
from rlkit.estimators import shannon_entropy

LABELS = ["12", "12", "12", "7", "7", "x", "none", "none"]


def test_discrete_form_is_the_entropy_of_the_answers():
    assert semantic_entropy(LABELS) == pytest.approx(1.3208883431)
    assert semantic_entropy([4, 4, 4]) == 0.0


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-5, 0)), min_size=1, max_size=8))
def test_weighted_form_against_its_definition(pairs):
    labels, logps = zip(*pairs, strict=True)
    weights = {label: sum(math.exp(logp) for other, logp in pairs if other == label) for label in set(labels)}
    assert semantic_entropy(labels, logps) == pytest.approx(shannon_entropy([*weights.values()]), abs=1e-12)
    assert semantic_entropy(labels, np.zeros(len(labels))) == pytest.approx(semantic_entropy(labels), abs=1e-12)
    assert semantic_entropy(labels[::-1], logps[::-1]) == pytest.approx(semantic_entropy(labels, logps))


def test_long_texts_do_not_underflow():
    assert semantic_entropy([0, 1], [-5000.0, -5000.0]) == pytest.approx(math.log(2))
    assert semantic_entropy([0, 1], [-5000.0, -6000.0]) == 0.0
    assert semantic_entropy([0, 1], [-1.0, -math.inf]) == 0.0


def test_undefined_is_nan():
    assert math.isnan(semantic_entropy([]))
    assert math.isnan(semantic_entropy([], []))
    assert math.isnan(semantic_entropy([0, 1], [-1.0, math.nan]))
    assert math.isnan(semantic_entropy([0], [-math.inf]))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="each label"):
        semantic_entropy([0, 1], [-1.0])
    with pytest.raises(ConfigError, match="0 or less"):
        semantic_entropy([0], [0.5])
    with pytest.raises(ConfigError, match="one a text"):
        semantic_entropy([[0]])
