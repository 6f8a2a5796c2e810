"""Advantages at mean 0 and variance 1 over tokens, whichever rank holds them."""

from __future__ import annotations

import pytest
import torch

from rlkit.returns import measure_moments, whiten

A_BT = torch.tensor([[0.4, 0.3, 0.2], [0.5, -0.1, -0.9]])
ALL = torch.ones(2, 3)


def test_worked_numbers():
    found = whiten(A_BT, ALL, measure_moments(A_BT, ALL))
    expected = torch.tensor([[0.645497, 0.451848, 0.258199], [0.839146, -0.322749, -1.871942]])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_tokens_weigh_alike_so_that_a_long_completion_weighs_more():
    values_BT = torch.tensor([[1.0, 1, 1, 1], [-1, 0, 0, 0]])
    mask_BT = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])
    found = whiten(values_BT, mask_BT, measure_moments(values_BT, mask_BT))
    assert found[0].tolist() == pytest.approx([0.447214] * 4, abs=1e-5)
    assert found[1].tolist() == pytest.approx([-1.788854, 0, 0, 0], abs=1e-5)


def test_ranks_add_up():
    moments = measure_moments(A_BT[:1], ALL[:1]) + measure_moments(A_BT[1:], ALL[1:])
    torch.testing.assert_close(whiten(A_BT, ALL, moments), whiten(A_BT, ALL, measure_moments(A_BT, ALL)))


def test_padding_may_hold_anything():
    padded = torch.cat([A_BT, torch.full((2, 2), torch.nan)], dim=1)
    mask = torch.cat([ALL, torch.zeros(2, 2)], dim=1)
    found = whiten(padded, mask, measure_moments(padded, mask))
    torch.testing.assert_close(found[:, :3], whiten(A_BT, ALL, measure_moments(A_BT, ALL)))
    assert (found[:, 3:] == 0).all()


@pytest.mark.parametrize("values", [[[0.3, 0.3], [0.3, 0.3]], [[1e-9, 1e-9], [1e-9, 1e-9]], [[0.0, 0.0], [0.0, 0.0]]])
def test_equal_advantages_set_nothing_apart(values):
    values_BT = torch.tensor(values)
    assert (whiten(values_BT, torch.ones(2, 2), measure_moments(values_BT, torch.ones(2, 2))) == 0).all()


def test_one_token_or_none_sets_nothing_apart():
    for mask_BT in (torch.tensor([[1, 0, 0], [0, 0, 0]]), torch.zeros(2, 3)):
        assert (whiten(A_BT, mask_BT, measure_moments(A_BT, mask_BT)) == 0).all()
