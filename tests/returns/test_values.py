"""The critic's loss, and how much of the returns it explains."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.returns import explain_variance, measure_fit, value_losses

OLD = torch.tensor([[0.2, 0.5, 0.8]])
NEW = torch.tensor([[0.6, 0.5, 0.3]])
RETURNS = torch.tensor([[1.0, 0.0, 1.0]])
ALL = torch.ones(1, 3)


def test_worked_numbers_of_the_clipped_loss_and_its_gradient():
    values_BT = NEW.clone().requires_grad_()
    losses_BT, clipped_BT = value_losses(values_BT, OLD, RETURNS, ALL, clip_range=0.2)
    torch.testing.assert_close(losses_BT * 2, torch.tensor([[0.36, 0.25, 0.49]]), atol=1e-6, rtol=0)
    assert losses_BT.mean().item() == pytest.approx(0.183333, abs=1e-6)
    losses_BT.mean().backward()
    torch.testing.assert_close(values_BT.grad, torch.tensor([[0.0, 0.166667, -0.233333]]), atol=1e-6, rtol=0)
    assert clipped_BT.tolist() == [[1.0, 0.0, 0.0]]


def test_without_a_clip_it_is_half_the_squared_error():
    losses_BT, clipped_BT = value_losses(NEW, OLD, RETURNS, ALL)
    assert losses_BT.mean().item() == pytest.approx(0.15, abs=1e-6)
    assert clipped_BT.sum() == 0


def test_padding_may_hold_anything_and_has_no_gradient():
    wide = torch.tensor([[0.6, 0.5, 0.3, torch.nan]], requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 0]])
    pad = torch.full((1, 1), torch.nan)
    old, returns = torch.cat([OLD, pad], dim=1), torch.cat([RETURNS, pad], dim=1)
    losses_BT, _ = value_losses(wide, old, returns, mask, clip_range=0.2)
    assert losses_BT.sum().item() == pytest.approx(3 * 0.183333, abs=1e-5)
    losses_BT.sum().backward()
    assert wide.grad[0, 3] == 0


def fit(values, returns):
    values_BT, returns_BT = torch.tensor([values]), torch.tensor([returns])
    return measure_fit(values_BT, returns_BT, torch.ones_like(values_BT))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.9, 0.7, 0.2, 0.1], 0.8525),
        ([0.4, 0.2, -0.3, -0.4], 0.8525),
        ([0.5, 0.5, 0.5, 0.5], 0.0),
        ([0.1, 0.2, 0.7, 0.9], -1.7475),
        ([1.0, 1.0, 0.0, 0.0], 1.0),
    ],
)
def test_worked_numbers_of_explained_variance(values, expected):
    assert explain_variance(fit(values, [1.0, 1.0, 0.0, 0.0])) == pytest.approx(expected, abs=1e-6)


def test_a_critic_that_knows_the_prompts_rate_explains_what_lies_between_prompts():
    values = [0.25] * 4 + [0.75] * 4
    assert explain_variance(fit(values, [1.0, 0, 0, 0, 1, 1, 1, 0])) == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("returns", [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.3, 0.3, 0.3]])
def test_equal_returns_leave_nothing_to_explain(returns):
    assert math.isnan(explain_variance(fit([0.1, -0.1, 0.2], returns)))


def test_no_token_explains_nothing():
    assert math.isnan(explain_variance(measure_fit(OLD, RETURNS, torch.zeros(1, 3))))


def test_ranks_add_up():
    whole = fit([0.9, 0.7, 0.2, 0.1], [1.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(fit([0.9, 0.7], [1.0, 1.0]) + fit([0.2, 0.1], [0.0, 0.0]), whole)


def test_no_rounding_counts_as_clipped():
    generator = torch.Generator().manual_seed(0)
    old_BT, returns_BT = torch.rand(2, 50, 20, generator=generator)
    values_BT = old_BT + 0.2 * torch.rand(50, 20, generator=generator)
    _, clipped_BT = value_losses(values_BT, old_BT, returns_BT, torch.ones(50, 20), clip_range=0.25)
    assert clipped_BT.sum() == 0
