"""Token weights of a user's own: what they return is checked, and what they do to their arguments stays with them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from rlkit.errors import PluginError
from rlkit.objective import Objective, TokenBatch, compute_token_losses, resolve_token_weight, weigh_tokens
from rlkit.objective.loss import clipped
from rlkit.objective.token_weights import TokenWeight


def batch():
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    logps = torch.tensor([[-1.0, -2.0, -0.5], [-1.0, -1.0, -1.0]], requires_grad=True)
    return TokenBatch(logps, logps.detach(), logps.detach().abs(), torch.tensor([[1.0], [-1.0]]), mask)


def weigh(function):
    return weigh_tokens(Objective((resolve_token_weight(function),)), batch())


def breaks(*_):
    return {}["missing"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda logps, *_: logps[:, :2],
            r"returned a tensor of shape \(2, 2\); return one number a token, shape \(2, 3\)",
        ),
        (lambda logps, *_: logps.sum(), r"returned a tensor of shape \(\)"),
        (lambda logps, *_: logps.mean(dim=1, keepdim=True).abs(), r"returned a tensor of shape \(2, 1\)"),
        (lambda *_: [1.0, 2.0], "return one number a token"),
        (lambda *_: None, "returned None"),
        (lambda *_: "high", "returned 'high'"),
        (lambda logps, *_: torch.full_like(logps, float("nan")), "a token nan, a weight that is not finite"),
        (lambda logps, *_: torch.full_like(logps, float("inf")), "a token inf, a weight that is not finite"),
        (lambda logps, *_: logps, "a token -1, a weight below 0"),
        (breaks, r"'breaks' failed in line \d+ of .*test_user_weights.py: KeyError"),
        (lambda logps: logps, "TypeError"),
    ],
)
def test_what_is_no_weight_of_every_token_is_refused_in_one_sentence(function, said):
    with pytest.raises(PluginError, match=said):
        weigh(function)


def test_padding_may_hold_anything_and_weighs_1():
    def inverse(logps, old_logps, entropies, advantages, mask):
        return 1.0 / mask

    assert weigh(inverse).tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_lists_and_whole_numbers_are_taken_and_no_gradient_flows():
    assert weigh(lambda *_: [[0, 1, 2], [3, 0, 0]]).tolist() == [[0.0, 1.0, 2.0], [3.0, 1.0, 1.0]]
    assert not weigh(lambda logps, *_: -logps).requires_grad


def test_arguments_that_are_changed_in_place_are_copies():
    def spoil(logps, old_logps, entropies, advantages, mask):
        for tensor in (logps, old_logps, entropies, advantages, mask):
            tensor.zero_()
        return mask + 1

    given = batch()
    assert weigh_tokens(Objective((resolve_token_weight(spoil),)), given).tolist() == [[1.0] * 3] * 2
    assert torch.equal(given.mask_BT, batch().mask_BT)
    assert torch.equal(given.old_logps_BT, batch().old_logps_BT)


@pytest.mark.parametrize(
    ("penalties", "said"),
    [
        (lambda logps: logps.sum(), r"shape \(\)"),
        (lambda logps: logps / 0, "not all finite"),
        (lambda _: 1.0, "are 1.0"),
    ],
)
def test_penalties_are_held_to_the_same(penalties, said):
    @dataclass(frozen=True)
    class Own(TokenWeight):
        def weigh(self, tokens):
            return torch.ones_like(tokens.logps_N)

        def penalties(self, logps_BT, *_):
            return penalties(logps_BT)

    with pytest.raises(PluginError, match=said):
        compute_token_losses(Objective((Own(),)), clipped, batch())
