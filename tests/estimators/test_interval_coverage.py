"""95 % intervals hold what other problems of the kind would give, near the ceiling and the floor too."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rlkit.estimators import mean_interval, mean_intervals

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from interval_coverage import cover_differences, cover_means, main

CEILING, FLOOR = "60 % always right", "60 % never right"


def test_one_problem_off_the_ceiling_does_not_make_certain() -> None:
    almost = mean_interval([*[1.0] * 29, 0.9998], bounds=(0, 1))
    assert almost.low < 0.92
    assert mean_interval([1.0] * 30, bounds=(0, 1)).low <= almost.low
    floor = mean_interval([*[0.0] * 29, 0.0002], bounds=(0, 1))
    assert floor.high == pytest.approx(1 - almost.low)


def test_no_difference_seen_on_few_problems_is_not_none() -> None:
    (same,) = mean_intervals(np.zeros((30, 1)), bounds=(-1, 1))
    assert same.low < -0.02 < 0 < 0.02 < same.high
    (many,) = mean_intervals(np.zeros((1000, 1)), bounds=(-1, 1))
    assert -0.001 < many.low < 0 < many.high < 0.001


def test_what_is_no_share_has_students_t_and_elsewhere_the_two_problems_hardly_count() -> None:
    values = np.random.default_rng(0).beta(0.5, 1.0, 200)
    plain, share = mean_interval(values, method="analytic"), mean_interval(values, bounds=(0, 1))
    assert mean_interval(values) == plain
    assert share.value == plain.value
    assert share.high - share.low == pytest.approx(plain.high - plain.low, rel=0.03)


@pytest.mark.parametrize("name", [CEILING, FLOOR])
def test_means_are_covered_on_thirty_problems(name: str) -> None:
    # The standard error of a coverage of 0.95 over 250 repetitions is 0.014.
    assert min(cover_means(name, 30, 250).values()) >= 0.92


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("num_problems", [50, 100, 200, 500])
@pytest.mark.parametrize("name", ["typical", CEILING, FLOOR, "90 % always right"])
def test_means_are_covered(name: str, num_problems: int) -> None:
    assert min(cover_means(name, num_problems, 400).values()) >= 0.915


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize("num_problems", [30, 100])
@pytest.mark.parametrize("name", ["typical", CEILING, FLOOR])
def test_paired_differences_are_covered_alone_and_all_budgets_at_once(
    name: str, num_problems: int, shift: float
) -> None:
    found = cover_differences(name, num_problems, 300, shift)
    assert min(found.values()) >= 0.90


@pytest.mark.slow
@pytest.mark.side_by_side
def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--repeats", "2", "--problems", "10"])
    assert capsys.readouterr().out.count("\n") == 6
