"""The split of a diversity loss: published rows, the laws of its parts, and how often its intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import DiversityLoss, mean_interval, split_diversity_loss

some_diversities = st.lists(st.tuples(*[st.one_of(st.just(math.nan), st.floats(0, 2))] * 4), min_size=0, max_size=8)


def simulate(rng: np.random.Generator, num: int, total: float, residual: float, spread: float = 0.1) -> np.ndarray:
    """Return four vectors of problems whose expected losses are known; a problem's own level is common to all four."""
    level = rng.uniform(0.2, 0.8, size=num)
    noise = rng.normal(scale=spread, size=(4, num))
    means = np.array([0.0, -0.1, -total, -0.1 - residual])
    return np.asarray(level + means[:, None] + noise)


@pytest.mark.parametrize(
    ("total", "quality_control", "residual", "rho"),
    [(0.121, 0.036, 0.085, 0.7025), (0.094, 0.033, 0.061, 0.6489)],
    ids=["GSM8K base to Think", "GSM8K base to Instruct"],
)
def test_rows_of_karouzos_et_al(total: float, quality_control: float, residual: float, rho: float) -> None:
    level = np.linspace(0.3, 0.5, 60)
    split = split_diversity_loss(level, level - 0.05, level - total, level - 0.05 - residual)
    assert split.total.value == pytest.approx(total)
    assert split.quality_control.value == pytest.approx(quality_control)
    assert split.residual.value == pytest.approx(residual)
    assert split.rho.value == pytest.approx(rho, abs=5e-5)
    assert split.rho.low == pytest.approx(split.rho.high)


@given(some_diversities)
def test_parts_add_up_on_the_problems_that_have_all_four(rows: list[tuple[float, ...]]) -> None:
    values = np.array(rows).reshape(len(rows), 4).T
    split = split_diversity_loss(*values)
    defined = int((~np.isnan(values).any(axis=0)).sum())
    assert split.num_problems == split.total.num_defined == split.residual.num_defined == defined
    assert split.total.num_total == split.rho.num_total == len(rows)
    if defined:
        assert split.quality_control.value + split.residual.value == pytest.approx(split.total.value, abs=1e-12)
    else:
        assert math.isnan(split.total.value)


def test_a_problem_without_correct_outputs_on_one_side_counts_in_no_mean() -> None:
    split = split_diversity_loss([1, 1, 9], [0.5, 0.5, np.nan], [0.6, 0.4, 0], [0.3, 0.3, 0.1])
    assert split.total.value == pytest.approx(0.5)
    assert split.num_problems == 2


def test_limits_of_the_parts_are_those_of_the_paired_difference() -> None:
    for num in (20, 80):
        a, c, m, n = simulate(np.random.default_rng(num), num, 0.2, 0.1)
        split = split_diversity_loss(a, c, m, n, level=0.9, seed=4)
        for part, other in (
            (split.total, mean_interval(a - m, 0.9, seed=4)),
            (split.residual, mean_interval(c - n, 0.9, seed=4)),
        ):
            assert (part.value, part.low, part.high) == pytest.approx((other.value, other.low, other.high))


def test_swapping_the_models_turns_every_sign_but_that_of_rho() -> None:
    a, c, m, n = simulate(np.random.default_rng(0), 100, 0.2, 0.1)
    there, back = split_diversity_loss(a, c, m, n), split_diversity_loss(m, n, a, c)
    assert back.total.value == pytest.approx(-there.total.value)
    assert back.residual.low == pytest.approx(-there.residual.high)
    assert back.rho.value == pytest.approx(there.rho.value)
    assert (back.rho.low, back.rho.high) == pytest.approx((there.rho.low, there.rho.high))


def test_rho_goes_below_zero_and_above_one() -> None:
    level = np.linspace(0.3, 0.5, 10)
    wider_when_right = split_diversity_loss(level, level - 0.1, level - 0.1, level)
    assert wider_when_right.rho.value == pytest.approx(-1.0)
    narrower_only_when_right = split_diversity_loss(level, level, level - 0.1, level - 0.2)
    assert narrower_only_when_right.rho.value == pytest.approx(2.0)


@pytest.mark.parametrize("num", [2, 30, 200])
def test_no_loss_has_no_share(num: int) -> None:
    a, c, _, n = simulate(np.random.default_rng(num), num, 0.0, 0.2)
    # The total averages to exactly nothing, whatever happens among correct outputs.
    alternating = np.where(np.arange(num) % 2, 0.05, -0.05)
    split = split_diversity_loss(a, c, a + alternating, n)
    assert math.isnan(split.rho.value)
    assert math.isnan(split.rho.low)
    assert split.rho.num_defined == 0
    assert split.residual.num_defined == num
    same = split_diversity_loss(a, c, a, c)
    assert math.isnan(same.rho.value)
    assert same.total.value == 0.0


def test_one_problem_or_none_is_undefined_not_zero() -> None:
    nothing = split_diversity_loss([], [], [], [])
    assert math.isnan(nothing.total.value)
    assert nothing.num_problems == 0
    one = split_diversity_loss([0.5], [0.4], [0.3], [0.3])
    assert one.total.value == pytest.approx(0.2)
    assert math.isnan(one.total.low)
    assert math.isnan(one.rho.value)


@pytest.mark.parametrize("num", [12, 60])
def test_intervals_of_rho_hold_as_often_as_they_say(num: int) -> None:
    rng = np.random.default_rng(num)
    splits = [split_diversity_loss(*simulate(rng, num, 0.3, 0.12), level=0.9) for _ in range(150)]
    hits = [split.rho.low <= 0.4 <= split.rho.high for split in splits]
    assert np.mean(hits) == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 150))


def test_limits_of_few_problems_are_open_where_the_total_is_not_told_from_zero_at_that_level() -> None:
    # 2.2 standard errors are enough for a share, but not for 99 % limits of it with three problems.
    total = np.array([0.04, 0.10, 0.16]) * 1.2
    level = np.full(3, 0.5)
    split = split_diversity_loss(level, level, level - total, level - total / 2, level=0.99)
    assert split.rho.value == pytest.approx(0.5)
    assert math.isnan(split.rho.low)
    assert math.isnan(split.rho.high)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="shapes"):
        split_diversity_loss([1, 2], [1, 2], [1, 2], [1])
    with pytest.raises(ConfigError, match="shapes"):
        split_diversity_loss(*np.zeros((4, 2, 2)))
    with pytest.raises(ConfigError, match="infinite"):
        split_diversity_loss([1], [1], [1], [math.inf])
    with pytest.raises(ConfigError, match="level"):
        split_diversity_loss([1], [1], [1], [1], level=95)


def test_the_result_is_plain_data() -> None:
    split = split_diversity_loss([0.5, 0.6], [0.4, 0.4], [0.3, 0.3], [0.2, 0.2])
    assert isinstance(split, DiversityLoss)
    assert split.residual.as_cell()["num_defined"] == 2
