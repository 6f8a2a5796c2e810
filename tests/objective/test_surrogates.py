"""Surrogates against loops over single tokens, published numbers and exact policy gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.objective.loss import cispo, clipped, sapo
from tests.objective.averaging import average

NUM_ROWS, NUM_TOKENS = 4, 6
LENGTHS = [6, 3, 1, 0]


def batch(seed=0, spread=0.5):
    generator = torch.Generator().manual_seed(seed)
    old_BT = -3 * torch.rand(NUM_ROWS, NUM_TOKENS, generator=generator, dtype=torch.float64)
    logps_BT = old_BT + spread * torch.randn(NUM_ROWS, NUM_TOKENS, generator=generator, dtype=torch.float64)
    advantages_B = torch.tensor([1.3, -0.7, 0.0, -2.0], dtype=torch.float64)
    mask_BT = torch.arange(NUM_TOKENS)[None] < torch.tensor(LENGTHS)[:, None]
    return logps_BT, old_BT, advantages_B, mask_BT


def loop(loss_of_token, level, batch):
    """Every token on its own, in plain floats; `loss_of_token(ratio, advantage, logp)`."""
    logps_BT, old_BT, advantages_B, mask_BT = batch
    rows = []
    for logps_T, old_T, advantage, length in zip(
        logps_BT.tolist(), old_BT.tolist(), advantages_B.tolist(), mask_BT.sum(1).tolist(), strict=True
    ):
        differences = [a - b for a, b in zip(logps_T, old_T, strict=True)][:length]
        if level == "sequence":
            differences = [sum(differences) / length] * length if length else []
        rows.append(
            [loss_of_token(math.exp(d), advantage, logp) for d, logp in zip(differences, logps_T, strict=False)]
        )
    return rows


def assert_equals_loop(losses, rows, mask_BT):
    expanded_BT = losses.expand(mask_BT.shape)
    for losses_T, mask_T, row in zip(expanded_BT, mask_BT, rows, strict=True):
        assert losses_T[mask_T].tolist() == pytest.approx(row, rel=1e-9, abs=1e-12)


def clip_token(ratio, advantage, low, high, delta):
    bounded = ratio if delta is None else min(ratio, delta)
    return -min(bounded * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("delta", [None, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_clipped_equals_a_loop(level, delta, seed):
    given = batch(seed)
    losses = clipped(*given, epsilon_low=0.2, epsilon_high=0.28, delta=delta, level=level)
    assert losses.shape == (NUM_ROWS, NUM_TOKENS if level == "token" else 1)
    assert_equals_loop(losses, loop(lambda r, a, _: clip_token(r, a, 0.2, 0.28, delta), level, given), given[3])


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_cispo_equals_a_loop(level):
    given = batch(1)
    losses = cispo(*given, epsilon_high=1.2, level=level)
    assert_equals_loop(losses, loop(lambda r, a, logp: -min(r, 1.2) * a * logp, level, given), given[3])


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_sapo_equals_a_loop(level):
    def gate(ratio, advantage, _):
        tau = 1.1 if advantage > 0 else 1.7
        return -4 / tau / (1 + math.exp(-tau * (ratio - 1))) * advantage

    given = batch(2)
    losses = sapo(*given, temperature_pos=1.1, temperature_neg=1.7, level=level)
    assert_equals_loop(losses, loop(gate, level, given), given[3])


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, 0.8), (1.5, 1.5), (12.0, 10.0)])
def test_golden_dual_clip(ratio, expected):
    logps_BT = torch.tensor([[math.log(ratio)]], dtype=torch.float64)
    losses_BT = clipped(
        logps_BT,
        torch.zeros_like(logps_BT),
        torch.tensor([-1.0]),
        torch.ones(1, 1),
        epsilon_low=0.2,
        epsilon_high=0.28,
        delta=10.0,
    )
    assert losses_BT.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("advantage", "ratio", "has_gradient"),
    [(1, 1.29, False), (1, 1.27, True), (1, 0.5, True), (-1, 0.79, False), (-1, 0.81, True), (-1, 3.0, True)],
)
def test_the_clip_takes_the_gradient_only_where_it_bites(advantage, ratio, has_gradient):
    logps_BT = torch.tensor([[math.log(ratio)]], requires_grad=True)
    given = (torch.zeros(1, 1), torch.tensor([advantage]), torch.ones(1, 1))
    clipped(logps_BT, *given, epsilon_low=0.2, epsilon_high=0.28).sum().backward()
    assert (logps_BT.grad.item() != 0) == has_gradient


def test_without_clips_every_ratio_counts():
    logps_BT = torch.tensor([[math.log(3.0), math.log(0.1)]], dtype=torch.float64)
    given = (logps_BT, torch.zeros_like(logps_BT), torch.tensor([2.0]), torch.ones(1, 2))
    for surrogate in (clipped, sapo):
        assert surrogate(*given, clips=False)[0].tolist() == pytest.approx([-6.0, -0.2])
    assert clipped(*given, clips=False, delta=2.0)[0].tolist() == pytest.approx([-4.0, -0.2])
    assert cispo(*given, epsilon_high=1.0, clips=False)[0].tolist() == pytest.approx(
        [-6 * math.log(3), -0.2 * math.log(0.1)]
    )


@pytest.mark.parametrize("surrogate", [clipped, cispo, sapo])
def test_on_policy_all_of_them_are_the_policy_gradient(surrogate):
    logps_BT, _, advantages_B, mask_BT = batch()
    logps_BT.requires_grad_()
    losses_BT = surrogate(logps_BT, logps_BT.detach(), advantages_B, mask_BT)
    (losses_BT * mask_BT).sum().backward()
    torch.testing.assert_close(logps_BT.grad, -advantages_B[:, None] * mask_BT)


@pytest.mark.parametrize("surrogate", [clipped, cispo, sapo])
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_advantages_and_masks_of_any_form_say_the_same(surrogate, level, dtype):
    logps_BT, old_BT, advantages_B, mask_BT = batch()
    expected = surrogate(logps_BT, old_BT, advantages_B, mask_BT, level=level)
    for advantages in (advantages_B[:, None], advantages_B[:, None].expand(-1, NUM_TOKENS)):
        losses = surrogate(logps_BT, old_BT, advantages, mask_BT.to(dtype), level=level)
        torch.testing.assert_close(losses, expected.expand(losses.shape))


@pytest.mark.parametrize("surrogate", [clipped, cispo, sapo])
@pytest.mark.parametrize("level", ["token", "sequence"])
def test_gradient_flows_through_the_policy_alone_and_not_through_padding(surrogate, level):
    logps_BT, old_BT, advantages_B, mask_BT = batch()
    junk_BT = torch.tensor([[math.nan, math.inf, -math.inf, 1e30, 0.0, -5.0]]).expand(NUM_ROWS, -1)
    logps_BT, old_BT = (torch.where(mask_BT, values, junk_BT).requires_grad_() for values in (logps_BT, old_BT))
    advantages_B.requires_grad_()
    average(surrogate(logps_BT, old_BT, advantages_B, mask_BT, level=level), mask_BT, "bnpo").backward()
    assert old_BT.grad is None
    assert advantages_B.grad is None
    assert logps_BT.grad.isfinite().all()
    assert (logps_BT.grad[~mask_BT] == 0).all()
    assert (logps_BT.grad[0] != 0).any()


@given(st.floats(-5, 5), st.floats(-3, 3), st.floats(0, 0.9), st.floats(0, 3))
def test_the_clip_is_a_pessimist(log_ratio, advantage, low, high):
    logps_BT = torch.tensor([[log_ratio]], dtype=torch.float64)
    given = (logps_BT, torch.zeros_like(logps_BT), torch.tensor([advantage], dtype=torch.float64), torch.ones(1, 1))
    bounded = clipped(*given, epsilon_low=low, epsilon_high=high).item()
    assert bounded >= clipped(*given, clips=False).item() - 1e-12


def test_an_unknown_level_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'sequence'"):
        clipped(*batch(), level="sequences")


REWARDS, ROW_LENGTHS = [1, 1, 0, 0, 0, 0], [4, 2, 3, 3, 6, 2]


@pytest.mark.parametrize(
    ("positive", "negative", "kept", "expected"),
    [(0.1, -1.0, range(6), 0.67), (1.0, 0.0, range(2), -1.0), (0.0, -1.0, range(2, 6), 1.0)],
)
def test_golden_token_means_of_weighted_reinforce(positive, negative, kept, expected):
    advantages_B = torch.tensor([positive if reward else negative for reward in REWARDS])[list(kept)]
    mask_BT = (torch.arange(6)[None] < torch.tensor(ROW_LENGTHS)[:, None])[list(kept)]
    logps_BT = -torch.ones(len(kept), 6)
    losses_BT = clipped(logps_BT, logps_BT, advantages_B, mask_BT)
    assert average(losses_BT, mask_BT, "dapo", num_items=mask_BT.sum()).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("advantage", "expected"), [(1.0, [0.741080, 0.184005, 0.074915]), (-1.0, [0.438277, 0.441291, 0.120433])]
)
def test_golden_softmax_steps(advantage, expected):
    logits_V = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64).log().requires_grad_()
    logps_BT = torch.log_softmax(logits_V, -1)[:1, None]
    mask_BT = torch.ones(1, 1)
    losses_BT = clipped(logps_BT, logps_BT.detach(), torch.tensor([advantage], dtype=torch.float64), mask_BT)
    (gradient_V,) = torch.autograd.grad(average(losses_BT, mask_BT, "grpo"), logits_V)
    assert torch.softmax(logits_V - gradient_V, -1).tolist() == pytest.approx(expected, abs=1e-6)
