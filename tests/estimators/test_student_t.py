"""Student's t against printed tables and its normal limit."""

from __future__ import annotations

import statistics

import pytest

from rlkit.estimators import student_t_quantile


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062047), (2, 4.3026527), (3, 3.1824463), (10, 2.2281389), (29, 2.0452296), (120, 1.9799304)],
)
def test_student_t_table(degrees: int, expected: float) -> None:
    assert student_t_quantile(0.975, degrees) == pytest.approx(expected, abs=1e-7)
    assert student_t_quantile(0.025, degrees) == pytest.approx(-expected, abs=1e-7)


def test_student_t_becomes_normal() -> None:
    assert student_t_quantile(0.975, 99_999) == pytest.approx(statistics.NormalDist().inv_cdf(0.975), abs=5e-5)
