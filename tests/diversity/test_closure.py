"""Closures against brute force, and the price of one false link."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity import PairwisePartition, close_pairs, false_merge_chance, label_by_first_seen
from rlkit.errors import ConfigError


@st.composite
def relations(draw):
    size = draw(st.integers(0, 9))
    pairs = list(combinations(range(size), 2))
    chosen = draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    return matrix(size, chosen)


def matrix(size, pairs):
    equivalent = np.eye(size, dtype=bool)
    for left, right in pairs:
        equivalent[left, right] = equivalent[right, left] = True
    return equivalent


def is_first_seen(labels):
    return all(label <= max([-1, *labels[:place]]) + 1 for place, label in enumerate(labels))


@given(relations())
def test_union_find_is_reachability(equivalent):
    size = len(equivalent)
    reach = np.linalg.matrix_power(equivalent.astype(object), max(size, 1)) > 0 if size else equivalent
    labels = close_pairs(equivalent)
    assert np.array_equal(labels[:, None] == labels[None, :], reach)
    assert is_first_seen(labels.tolist())


@given(relations())
def test_complete_linkage_makes_greedy_cliques(equivalent):
    labels = close_pairs(equivalent, "complete_linkage")
    same = labels[:, None] == labels[None, :]
    assert (same <= equivalent).all()
    for place, label in enumerate(labels):
        for earlier in range(label):
            members = [i for i in range(place) if labels[i] == earlier]
            assert not all(equivalent[place, i] for i in members)
    assert is_first_seen(labels.tolist())


@given(relations())
def test_both_closures_agree_on_a_relation_that_is_transitive(equivalent):
    labels = close_pairs(equivalent)
    transitive = labels[:, None] == labels[None, :]
    assert np.array_equal(close_pairs(transitive, "complete_linkage"), labels)


def test_the_worked_group_of_darling():
    labels = close_pairs(matrix(6, [(0, 1), (1, 5), (3, 4)]))
    assert labels.tolist() == [0, 0, 1, 2, 2, 0]
    sizes = np.bincount(labels)[labels]
    assert sizes.tolist() == [3, 3, 1, 2, 2, 3]


def test_one_false_link_merges_classes_under_union_find_only():
    blocks = [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]
    judged = matrix(6, [*blocks, (2, 3)])
    assert close_pairs(judged).tolist() == [0] * 6
    assert close_pairs(judged, "complete_linkage").tolist() == [0, 0, 0, 1, 1, 1]


def test_labels_are_numbered_in_order_of_first_appearance():
    assert label_by_first_seen(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert label_by_first_seen([]).tolist() == []


@pytest.mark.parametrize(("rate", "chance"), [(0.01, 0.245), (0.05, 0.762), (0.11, 0.962), (0, 0), (1, 1)])
def test_the_chance_of_a_false_merge_among_eight(rate, chance):
    assert false_merge_chance(rate, 8) == pytest.approx(chance, abs=5e-4)


def test_the_chance_of_a_false_merge_is_that_of_simulated_groups():
    rng = np.random.default_rng(0)
    merged = [
        close_pairs(matrix(5, [pair for pair in combinations(range(5), 2) if rng.random() < 0.1])).max() < 4
        for _ in range(4000)
    ]
    chance = false_merge_chance(0.1, 5)
    assert abs(np.mean(merged) - chance) < 4 * np.sqrt(chance * (1 - chance) / 4000)
    assert false_merge_chance(0.5, 1) == 0


@pytest.mark.parametrize("wrong", [(-0.1, 8), (float("nan"), 8), (True, 8), (0.1, 0), (0.1, 2.5), ("0.1", 8)])
def test_chances_of_nothing_are_refused(wrong):
    with pytest.raises(ConfigError):
        false_merge_chance(*wrong)


def test_judgements_that_depend_on_the_order_are_refused():
    with pytest.raises(ConfigError, match="symmetric"):
        close_pairs(np.array([[True, True], [False, True]]))
    with pytest.raises(ConfigError, match="symmetric"):
        close_pairs(np.ones((2, 3), dtype=bool))
    with pytest.raises(ConfigError, match="union_find"):
        close_pairs(np.eye(2), "single")


def test_a_partition_that_judges_pairs_needs_nothing_but_its_judgement():
    class Close(PairwisePartition):
        def features(self, completions, **columns):
            return [float(text) for text in completions]

        def equivalent(self, features_G):
            values = np.asarray(features_G)
            return np.abs(values[:, None] - values[None, :]) <= 1

    assert Close().labels([5.0, 1.0, 2.0, 3.0]).tolist() == [0, 1, 1, 1]
    assert Close(closure="complete_linkage").labels([5.0, 1.0, 2.0, 3.0]).tolist() == [0, 1, 1, 2]
    with pytest.raises(ConfigError, match="closure"):
        Close(closure="best")
