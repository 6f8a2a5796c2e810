"""GAE: worked numbers, plain loops, closed forms, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.returns import gae, place_terminal_rewards
from tests.returns.slow import slow_gae

V = [0.5, 0.55, 0.6, 0.7, 0.8]
R = [0.0, 0.0, 0.0, 0.0, 1.0]


def one(rewards, values, mask=None, lam=0.95, gamma=1.0, bootstrap=None):
    mask = [1] * len(values) if mask is None else mask
    found = gae(
        torch.tensor([rewards]),
        torch.tensor([values]),
        torch.tensor([mask]),
        gamma,
        lam,
        None if bootstrap is None else torch.tensor([bootstrap]),
    )
    return found[0].tolist()


@pytest.mark.parametrize(
    ("lam", "advantages", "returns"),
    [
        (0.95, [0.436389, 0.406725, 0.3755, 0.29, 0.2], [0.936389, 0.956725, 0.9755, 0.99, 1]),
        (1.0, [0.5, 0.45, 0.4, 0.3, 0.2], [1, 1, 1, 1, 1]),
        (0.0, [0.05, 0.05, 0.1, 0.1, 0.2], [0.55, 0.6, 0.7, 0.8, 1]),
    ],
)
def test_worked_numbers(lam, advantages, returns):
    found = one(R, V, lam=lam)
    assert found == pytest.approx(advantages, abs=1e-6)
    assert [a + v for a, v in zip(found, V, strict=True)] == pytest.approx(returns, abs=1e-6)


def test_a_gap_is_as_if_it_were_not_there():
    """Setting values in the gap to 0 would give 0.45301 and 0.371589 before it."""
    found = one([0, 0, 0, 0, 0, 1.0], [0.4, 0.5, 9, 9, 0.6, 0.7], [1, 1, 0, 0, 1, 1])
    assert found == pytest.approx([0.542462, 0.46575, 0, 0, 0.385, 0.3], abs=1e-6)
    assert [found[place] for place in (0, 1, 4, 5)] == pytest.approx(one([0, 0, 0, 1.0], [0.4, 0.5, 0.6, 0.7]))


def test_padding_counts_for_nothing():
    found = one([0, 0, 1.0, 5, 5], [0.5, 0.6, 0.7, 9, 9], [1, 1, 1, 0, 0])
    assert found == pytest.approx([0.46575, 0.385, 0.3, 0, 0], abs=1e-6)


def test_a_reward_on_the_first_pad_would_be_another_sum():
    """What a trainer makes of it that writes the score one place too late; ours must not come to it."""
    late = one([0, 0, 0, 1.0], [0.5, 0.6, 0.7, 0.4])
    assert late == pytest.approx([0.438675, 0.3565, 0.27, 0.6], abs=1e-6)
    mask_BT = torch.tensor([[1, 1, 1, 0]])
    rewards_BT = place_terminal_rewards(torch.tensor([1.0]), mask_BT)
    found = gae(rewards_BT, torch.tensor([[0.5, 0.6, 0.7, 0.4]]), mask_BT, lam=0.95)
    torch.testing.assert_close(found, torch.tensor([[0.46575, 0.385, 0.3, 0.0]]))


@pytest.mark.parametrize(
    ("lam", "bootstrap", "advantages"),
    [
        (0.95, 0.45, [0.149875, 0.0525, -0.05]),
        (1.0, 0.45, [0.15, 0.05, -0.05]),
        (0.95, None, [-0.25625, -0.375, -0.5]),
        (1.0, None, [-0.3, -0.4, -0.5]),
    ],
)
def test_a_truncated_completion_goes_on_from_the_critics_word(lam, bootstrap, advantages):
    assert one([0.0] * 3, [0.3, 0.4, 0.5], lam=lam, bootstrap=bootstrap) == pytest.approx(advantages, abs=1e-6)


@pytest.mark.parametrize(
    ("lam", "advantages"),
    [(0.6, [0.16352, 0.1892, 0.232, 0.22, 0.2]), (0.5**0.25, [0.322216, 0.323721, 0.325511, 0.268179, 0.2])],
)
def test_worked_numbers_of_lambdas_by_length(lam, advantages):
    assert one(R, V, lam=lam) == pytest.approx(advantages, abs=1e-6)


def test_closed_forms():
    rewards, values = [0.3, -0.2, 0.0, 1.0], [0.1, 0.7, -0.4, 0.2]
    togo = [1.1, 0.8, 1.0, 1.0]
    assert one(rewards, [0.0] * 4, lam=1.0) == pytest.approx(togo, abs=1e-6)
    assert one(rewards, values, lam=1.0) == pytest.approx([r - v for r, v in zip(togo, values, strict=True)], abs=1e-6)
    steps = [r + after - v for r, after, v in zip(rewards, [*values[1:], 0.0], values, strict=True)]
    assert one(rewards, values, lam=0.0) == pytest.approx(steps, abs=1e-6)
    assert one([1.0], [0.25]) == pytest.approx([0.75])
    assert one([1.0, 1.0], [0.0, 0.0], gamma=0.0, lam=1.0) == pytest.approx([1.0, 1.0])


def test_an_empty_completion_has_no_advantage():
    assert one([1.0, 2.0], [3.0, 4.0], [0, 0]) == [0.0, 0.0]
    assert gae(torch.zeros(2, 0), torch.zeros(2, 0), torch.zeros(2, 0)).shape == (2, 0)
    assert place_terminal_rewards(torch.ones(2), torch.zeros(2, 0)).shape == (2, 0)


def test_what_stands_in_padding_may_be_anything():
    nan = float("nan")
    assert one([0, 1.0, nan], [0.5, 0.6, nan], [1, 1, 0]) == pytest.approx([0.48, 0.4, 0])


def test_no_gradient_flows_through_it():
    values_BT = torch.zeros(1, 2, requires_grad=True)
    assert not gae(torch.ones(1, 2), values_BT, torch.ones(1, 2)).requires_grad


def test_arrays_stay_arrays_and_lists_become_tensors():
    assert isinstance(gae(np.ones((1, 2)), np.zeros((1, 2)), np.ones((1, 2))), np.ndarray)
    assert gae(np.ones((1, 2)), np.zeros((1, 2)), np.ones((1, 2))).dtype == np.float64
    assert gae([[0.0, 1.0]], [[0.0, 0.0]], [[1, 1]], lam=1.0).tolist() == [[1.0, 1.0]]


rows = st.integers(1, 7).flatmap(
    lambda width: st.tuples(
        st.lists(st.floats(-2, 2), min_size=width, max_size=width),
        st.lists(st.floats(-2, 2), min_size=width, max_size=width),
        st.lists(st.booleans(), min_size=width, max_size=width),
    )
)


@settings(max_examples=200, deadline=None)
@given(rows, st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1))
def test_it_equals_plain_loops(row, gamma, lam, bootstrap):
    rewards, values, mask = row
    given_row = [np.array([part], dtype=np.float64) for part in (rewards, values, mask)]
    found = gae(*given_row, gamma=gamma, lam=lam, bootstrap_B=np.array([bootstrap]))
    np.testing.assert_allclose(found[0], slow_gae(rewards, values, mask, gamma, lam, bootstrap), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 3), st.integers(0, 3))
def test_padding_on_either_side_does_not_matter(row, before, after):
    rewards, values, mask = row
    wide = [[7.0] * before + part + [7.0] * after for part in (rewards, values)]
    found = gae(*(np.array([part]) for part in wide), np.array([[0] * before + mask + [0] * after]))
    narrow = gae(*(np.array([part], dtype=np.float64) for part in row))
    np.testing.assert_allclose(found[:, before : before + len(mask)], narrow, atol=1e-12)


def test_rows_do_not_know_of_each_other():
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.rand(2, 6, 5, generator=generator).double()
    mask, lam = torch.rand(6, 5, generator=generator) > 0.3, torch.rand(6, generator=generator)
    together = gae(rewards, values, mask, 0.9, lam)
    apart = [
        gae(rewards[r : r + 1], values[r : r + 1], mask[r : r + 1], 0.9, lam[r : r + 1]) for r in range(len(rewards))
    ]
    assert torch.equal(together, torch.cat(apart))


def test_terminal_rewards_lie_on_the_last_token_that_counts():
    mask_BT = torch.tensor([[1, 1, 0], [1, 0, 1], [0, 0, 0]])
    found = place_terminal_rewards(torch.tensor([1.0, 2.0, 3.0]), mask_BT)
    assert found.tolist() == [[0, 1, 0], [0, 0, 2], [0, 0, 0]]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gamma": 1.1}, "gamma"),
        ({"lam": -0.5}, "lam=-0.5; it takes numbers from 0 to 1"),
        ({"lam": [0.5, 2.0]}, "lam=2.0"),
        ({"lam": [0.5, 0.5, 0.5]}, "for 2 completions"),
        ({"bootstrap_B": [0.0]}, "bootstrap_B"),
        ({"mask_BT": [[1, 1, 1]]}, "give one shape"),
    ],
)
def test_what_cannot_be_is_refused(changes, says):
    usual = {"rewards_BT": [[0.0, 1.0]] * 2, "values_BT": [[0.0, 0.0]] * 2, "mask_BT": [[1, 1]] * 2}
    with pytest.raises(ConfigError, match=says):
        gae(**(usual | changes))
