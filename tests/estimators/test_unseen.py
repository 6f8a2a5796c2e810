"""Counts of found solutions against worked numbers, brute force and a world in which the truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators.unseen import bound_pass_rate, count_unseen, expect_distinct

COUNTS = [9, 5, 3, 2, 2, 1, 1, 1, 1, 1]


def test_the_worked_numbers():
    unseen = count_unseen(COUNTS)
    assert (unseen.num_samples, unseen.num_found, unseen.num_once, unseen.num_twice) == (26, 10, 5, 2)
    assert unseen.mass == pytest.approx(0.1923, abs=1e-4)
    assert unseen.chao1 == pytest.approx(16.0, abs=0.05)
    assert unseen.chao1_corrected == pytest.approx(13.2, abs=0.05)
    assert unseen.coverage == pytest.approx(0.814, abs=1e-3)
    assert unseen.expect_new(26) == pytest.approx(3.4, abs=0.05)
    assert bound_pass_rate(32) == pytest.approx(0.089, abs=1e-3)


def test_without_solutions_seen_twice_the_corrected_form_is_taken():
    unseen = count_unseen([3, 1, 1, 1])
    assert unseen.chao1 == unseen.chao1_corrected == pytest.approx(4 + 5 / 6 * 3 * 2 / 2)
    assert 0 < unseen.coverage < 1


@pytest.mark.parametrize("counts", [[], [1]])
def test_of_one_sample_nothing_is_said(counts):
    unseen = count_unseen(counts)
    assert all(map(math.isnan, (unseen.mass, unseen.chao1, unseen.coverage, unseen.expect_new(3))))


def test_when_every_solution_was_seen_often_nothing_is_left():
    unseen = count_unseen([5, 4])
    assert (unseen.mass, unseen.chao1, unseen.coverage, unseen.expect_new(100)) == (0.0, 2.0, 1.0, 0.0)


def test_rarefaction_equals_every_choice_of_samples():
    counts, drawn = [3, 2, 1], 8
    labels = [0, 0, 0, 1, 1, 2, None, None]
    for kept in range(drawn + 1):
        choices = [{*choice} - {None} for choice in itertools.combinations(labels, kept)]
        assert expect_distinct(counts, drawn, kept) == pytest.approx(np.mean([len(choice) for choice in choices]))


def test_good_turing_holds_what_it_promises():
    """The unseen mass averages what is truly unseen, over draws from known chances."""
    rng, chances = np.random.default_rng(0), 1 / np.arange(1, 41)
    chances /= chances.sum()
    errors = []
    for _ in range(2000):
        counts = rng.multinomial(50, chances)
        errors.append(count_unseen(counts[counts > 0].tolist()).mass - chances[counts == 0].sum())
    assert abs(np.mean(errors)) < 3 * np.std(errors) / math.sqrt(len(errors)) + 0.01


def test_chao1_is_a_lower_bound_on_average():
    rng, chances = np.random.default_rng(1), 1 / np.arange(1, 41)
    chances /= chances.sum()
    found = [count_unseen(c[c > 0].tolist()).chao1 for c in rng.multinomial(50, chances, size=500)]
    assert np.mean(found) < 40
    assert np.mean(found) > np.mean([np.count_nonzero(c) for c in rng.multinomial(50, chances, size=500)])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: count_unseen([0, 1]), "at least once"),
        (lambda: count_unseen([2]).expect_new(-1), "num_samples was given as -1"),
        (lambda: bound_pass_rate(3, 1.0), "level was given as 1.0"),
        (lambda: expect_distinct([2], 4, 5), "5 of 4 samples"),
        (lambda: expect_distinct([5], 4, 2), "5 of them correct"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ConfigError, match=words):
        call()


def test_no_samples_bound_nothing():
    assert math.isnan(bound_pass_rate(0))
