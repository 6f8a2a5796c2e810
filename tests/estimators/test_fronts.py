"""Places on fronts over temperature, against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rlkit.estimators.fronts import locate_on_front, read_front

PASSES, COVERAGES, TEMPERATURES = (np.array([row]) for row in ([0.30, 0.40, 0.50], [0.90, 0.80, 0.50], [1.0, 0.6, 0.3]))


def test_equal_accuracy_and_equal_coverage() -> None:
    at = locate_on_front(PASSES, np.array([0.45]))
    assert read_front(COVERAGES, at) == pytest.approx([0.65])
    assert read_front(TEMPERATURES, at) == pytest.approx([0.45])
    at = locate_on_front(COVERAGES, np.array([0.70]))
    assert read_front(PASSES, at) == pytest.approx([0.433333], abs=1e-6)
    assert read_front(TEMPERATURES, at) == pytest.approx([0.5])


def test_beyond_the_front_no_number_is_made_up() -> None:
    at = locate_on_front(np.repeat(PASSES, 2, axis=0), np.array([0.55, 0.25]))
    assert np.isnan(at).all()
    assert np.isnan(read_front(np.repeat(COVERAGES, 2, axis=0), at)).all()


def test_the_first_place_counts_where_a_front_turns_back() -> None:
    values = np.array([[0.3, 0.5, 0.4, 0.6]])
    assert locate_on_front(values, np.array([0.45])) == pytest.approx([0.75])
    assert locate_on_front(values, np.array([0.55])) == pytest.approx([2.75])


def test_the_points_themselves_are_found_and_flat_stretches_start_first() -> None:
    values = np.array([[0.3, 0.4, 0.4, 0.5]] * 3)
    assert locate_on_front(values, np.array([0.3, 0.4, 0.5])) == pytest.approx([0.0, 1.0, 3.0])
    assert read_front(values, np.array([0.0, 1.0, 3.0])) == pytest.approx([0.3, 0.4, 0.5])


def test_a_front_of_one_point() -> None:
    at = locate_on_front(np.array([[0.3], [0.3]]), np.array([0.3, 0.4]))
    assert at[0] == 0.0
    assert np.isnan(at[1])
    assert read_front(np.array([[0.9], [0.9]]), at)[0] == 0.9


def test_every_row_is_a_front_of_its_own() -> None:
    rng = np.random.default_rng(0)
    values, others = np.sort(rng.random((50, 4)), axis=1), rng.random((50, 4))
    targets = values[:, 1] + 0.3 * (values[:, 2] - values[:, 1])
    at = locate_on_front(values, targets)
    assert at == pytest.approx(np.full(50, 1.3))
    assert read_front(others, at) == pytest.approx(0.7 * others[:, 1] + 0.3 * others[:, 2])
