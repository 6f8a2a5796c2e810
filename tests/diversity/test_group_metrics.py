"""Step metrics against counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.diversity import summarise_groups


def test_counts_by_hand():
    labels = np.array([[0, 0, 1, 2], [0, 1, 0, 0], [0, 0, 0, 1]])
    correct = np.array([[1.0, 1, 1, 0], [0, 0, 0, 0], [1, 1, math.nan, 1]])
    scored = np.array([[True] * 4, [True] * 4, [True, True, False, True]])
    summary = summarise_groups(labels, correct, scored)
    assert summary["distinct"] == pytest.approx((3 + 2 + 2) / 3)
    assert summary["distinct_correct"] == pytest.approx((2 + 0 + 2) / 3)
    # Pairs of correct completions: classes 0, 0, 1 both times, so one pair of three is of one class.
    assert summary["simpson_correct"] == pytest.approx(2 / 3)
    assert summary["pass_at_g"] == pytest.approx(2 / 3)
    assert summary["groups_all_correct"] == pytest.approx(1 / 3)
    assert summary["groups_all_wrong"] == pytest.approx(1 / 3)


def test_nothing_scored_is_nan_everywhere():
    summary = summarise_groups(np.zeros((2, 3), int), np.full((2, 3), math.nan), np.zeros((2, 3), bool))
    assert all(math.isnan(value) for value in summary.values())


def test_no_pair_of_correct_answers_leaves_simpson_undefined():
    summary = summarise_groups(np.array([[0, 1]]), np.array([[1.0, 0.0]]), np.ones((1, 2), bool))
    assert math.isnan(summary["simpson_correct"])
    assert summary["distinct_correct"] == 1
