"""BBG's factor against worked numbers, a quadrature and a slow twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from rlkit.advantages import GateByBoundary, GroupContext, resolve
from rlkit.advantages.boundary import expect_slope
from rlkit.errors import ConfigError, MissingInputError

SLOPES = [6, 2.086957, 0.664032, 0.189723, 0.047431, 0.009985, 0.001664, 0.000196, 0.000012]


def slope(num_right, num_draws, k):
    return expect_slope(torch.tensor([num_draws - num_right]), torch.tensor([num_draws]), k).item()


def weigh(num_right, size=8, ctx=None, **params):
    """Return what becomes of values of 1 in a group with that many right ones, right ones in front."""
    ctx = ctx or GroupContext(correct_PG=np.array([[1.0] * num_right + [0.0] * (size - num_right)]))
    return GateByBoundary(**params)(np.ones((1, size)), ctx)[0]


def test_worked_slopes():
    np.testing.assert_allclose([slope(m, 8, 16) for m in range(9)], SLOPES, atol=1e-6)
    assert [slope(m, 8, 1) for m in range(9)] == [1.0] * 9


@pytest.mark.parametrize(("num_right", "num_draws", "k"), [(0, 8, 16), (3, 8, 16), (5, 7, 4), (1, 1, 9), (2.5, 6.5, 5)])
def test_slopes_equal_a_quadrature(num_right, num_draws, k):
    a, b = num_right + 1, num_draws - num_right + 1
    density = lambda p: k * (1 - p) ** (k - 1) * p ** (a - 1) * (1 - p) ** (b - 1) / special.beta(a, b)  # noqa: E731
    assert slope(num_right, num_draws, k) == pytest.approx(integrate.quad(density, 0, 1)[0])


def test_worked_factors_and_the_gate():
    open_gate = [weigh(m, gate=0.0)[0] for m in range(1, 9)]
    np.testing.assert_allclose(open_gate[:3], [1, 0.318182, 0.090909], atol=1e-6)
    np.testing.assert_allclose(open_gate, np.array(SLOPES[1:]) / SLOPES[1], atol=1e-6)
    assert [weigh(m)[0] > 0 for m in range(1, 9)] == [True] * 3 + [False] * 5


def test_groups_without_a_success_are_pushed_down():
    np.testing.assert_allclose(weigh(0), [-2.875] * 8)
    np.testing.assert_allclose(weigh(0, all_wrong=0.5), [-1.4375] * 8)
    np.testing.assert_allclose(weigh(0, all_wrong=0.0), [2.875] * 8)
    np.testing.assert_allclose(resolve("bbg")(np.zeros((1, 8))), [[-2.875] * 8])
    assert resolve({"name": "bbg", "all_wrong": 0.0})(np.zeros((1, 8))).tolist() == [[0.0] * 8]
    assert (weigh(0, k=1) == -1).all()


def test_worked_advantages_are_grpos_times_the_factor():
    rewards = np.array([[1.0, 1, 0, 0, 0, 0, 0, 0]])
    grpo = resolve({"name": "grpo", "eps": 1e-6})(rewards)
    np.testing.assert_allclose(resolve("bbg")(rewards), grpo * 0.318182, rtol=1e-5)


def test_earlier_visits_count_where_asked_for():
    def ctx(before):
        return GroupContext(correct_PG=np.array([[0.0] * 8]), pass_counts_P2=np.array([before], dtype=float))

    new = weigh(0, history=True, ctx=ctx([0, 0]))
    np.testing.assert_allclose(new, [-2.875] * 8)
    known = weigh(0, history=True, ctx=ctx([2, 8]))
    np.testing.assert_allclose(known, [-slope(2, 16, 16) / slope(1, 8, 16)] * 8)
    assert abs(known[0]) < abs(new[0])
    assert (weigh(0, history=True, ctx=ctx([40, 64])) == 0).all()
    assert resolve({"name": "bbg", "history": True}).needs == {"pass_counts_P2"}
    with pytest.raises(MissingInputError, match=r"pass_counts_P2.*a trainer"):
        resolve({"name": "bbg", "history": True})(np.zeros((1, 8)))


def slow_twin(rewards, k, gate):
    scored = [r for r in rewards if not math.isnan(r)]
    n, m = len(scored), sum(r == 1 for r in scored)
    if n < 2:
        return [math.nan] * len(rewards)

    def u(m):
        value = float(k)
        for j in range(1, k):
            value *= (n - m + j) / (n + 1 + j)
        return value

    factor = 0.0 if u(m) < gate * (n + 1) else u(m) / u(1)
    if m == 0:
        return [math.nan if math.isnan(r) else -factor for r in rewards]
    mean = m / n
    std = math.sqrt(sum((r - mean) ** 2 for r in scored) / (n - 1))
    return [(r - mean) / (std + 1e-6) * factor for r in rewards]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.0, 1.0, math.nan]), min_size=1, max_size=9),
    st.sampled_from([1, 4, 16]),
    st.sampled_from([0.0, 0.01, 0.2]),
)
def test_it_equals_its_slow_twin(rewards, k, gate):
    ours = resolve({"name": "bbg", "k": k, "gate": gate})(np.array([rewards]))[0]
    np.testing.assert_allclose(ours, slow_twin(rewards, k, gate), rtol=1e-9, atol=1e-12)


def test_where_nothing_was_judged_values_stay():
    ctx = GroupContext(correct_PG=np.full((1, 3), math.nan))
    assert weigh(0, 3, ctx).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("params", "words"),
    [({"k": 0}, "k=0"), ({"gate": -1}, "gate=-1"), ({"all_wrong": -1}, "all_wrong=-1"), ({"history": 1}, "history=1")],
    ids=str,
)
def test_bad_parameters_are_refused_with_a_sentence(params, words):
    with pytest.raises(ConfigError, match=words):
        GateByBoundary(**params)


def test_it_is_no_baseline_and_asks_for_groups():
    assert GateByBoundary.makes == "rewards"
    assert resolve("bbg").min_group_size == 2
