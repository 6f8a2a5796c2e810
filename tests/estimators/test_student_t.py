"""The reach of two-sided intervals against printed tables of Student's t and its normal limit."""

from __future__ import annotations

import statistics

import pytest

from rlkit.estimators.student_t import critical_value


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062047), (2, 4.3026527), (3, 3.1824463), (10, 2.2281389), (29, 2.0452296), (120, 1.9799304)],
)
def test_printed_table(degrees: int, expected: float) -> None:
    assert critical_value(0.95, degrees) == pytest.approx(expected, abs=1e-7)


def test_many_degrees_are_the_normal_distribution() -> None:
    assert critical_value(0.9, 10**9) == pytest.approx(statistics.NormalDist().inv_cdf(0.95), abs=1e-7)
