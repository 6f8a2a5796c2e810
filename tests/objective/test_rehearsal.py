"""Rehearsal on a small softmax: exact gradients, nothing to do at the start, padding of no effect."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.objective.rehearsal import Rehearsal
from rlkit.objective.stored import StoredRow
from tests.objective.test_anchors import FORWARD, Q, exact_divergence, logit_gradient

DIVERGENCES = ["forward", "js", "alpha"]


def loss_of(rehearsal, logps_BT, ref_logps_BT, mask_BT):
    """Return the loss of a step that holds these rows, as many tokens each as the mask leaves."""
    rows = [StoredRow([1], [1] * int(count)) for count in (mask_BT != 0).sum(dim=1)]
    return rehearsal.loss(logps_BT, ref_logps_BT, mask_BT, torch.tensor(rehearsal.weigh(rows)))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_expected_gradient_is_that_of_the_divergence(divergence):
    def loss(logps_V):
        return (Q * Rehearsal(divergence).losses(logps_V, Q.log())).sum()

    exact_V = logit_gradient(lambda logps_V: exact_divergence(logps_V, divergence))
    torch.testing.assert_close(logit_gradient(loss), exact_V, atol=1e-12, rtol=1e-10)
    golden = {"forward": FORWARD, "js": [0.049463, -0.048176, -0.001287]}
    if divergence in golden:
        assert logit_gradient(loss).tolist() == pytest.approx(golden[divergence], abs=1e-6)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_no_drift_no_gradient(divergence):
    logps_BT = torch.tensor([[-0.1, -3.0], [-1e-4, -20.0]], requires_grad=True)
    loss = loss_of(Rehearsal(divergence), logps_BT, logps_BT.detach().clone(), torch.ones(2, 2))
    loss.backward()
    assert loss.item() == 0.0
    assert logps_BT.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_the_loss_is_a_mean_over_tokens_times_the_coefficient(dtype):
    logps_BT = torch.tensor([[-1.0, -2.0, -3.0], [-0.5, -0.7, -0.9]])
    ref_logps_BT = torch.tensor([[-1.5, -2.2, -9.0], [-0.1, -0.2, -0.3]])
    mask_BT = torch.tensor([[1, 1, 0], [1, 0, 0]]).to(dtype)
    ratios = [math.exp(0.5), math.exp(0.2), math.exp(-0.4)]
    expected = 0.1 * sum(u - math.log(u) - 1 for u in ratios) / 3
    loss = loss_of(Rehearsal(coef=0.1), logps_BT, ref_logps_BT, mask_BT)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_padding_may_hold_anything(divergence):
    logps_BT = torch.tensor([[-1.0, math.nan, -math.inf, -1e30]], requires_grad=True)
    ref_logps_BT = torch.tensor([[-1.5, 0.0, -math.inf, math.nan]])
    loss = loss_of(Rehearsal(divergence), logps_BT, ref_logps_BT, torch.tensor([[1, 0, 0, 0]]))
    loss.backward()
    alone = loss_of(Rehearsal(divergence), torch.tensor([[-1.0]]), torch.tensor([[-1.5]]), torch.ones(1, 1))
    assert loss.item() == pytest.approx(alone.item(), rel=1e-6)
    assert logps_BT.grad[0, 1:].tolist() == [0.0, 0.0, 0.0]
    assert logps_BT.grad[0, 0] > 0


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_clamp_keeps_a_runaway_ratio_finite(divergence):
    logps_BT = torch.tensor([[0.0, -300.0]], requires_grad=True)
    loss = loss_of(Rehearsal(divergence), logps_BT, torch.tensor([[-300.0, 0.0]]), torch.ones(1, 2))
    loss.backward()
    assert loss.isfinite()
    assert logps_BT.grad.tolist() == [[0.0, 0.0]]


def test_mastery_starts_at_the_threshold():
    assert [Rehearsal().is_mastered(share) for share in (6 / 8, 7 / 8, math.nan)] == [False, True, False]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"divergence": "reverse"}, "divergence='reverse'"),
        ({"coef": -0.1}, "at least 0"),
        ({"coef": True}, "coef=True"),
        ({"coef": math.nan}, "coef=nan"),
        ({"alpha": 0}, "between 0 and 1"),
        ({"num_prompts": 0}, "num_prompts=0"),
        ({"num_prompts": 2.0}, "whole number"),
        ({"rows_per_step": True}, "rows_per_step=True"),
        ({"mastered_above": 2}, "from 0 to 1"),
        ({"log_ratio_clamp": -1}, "above 0"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(params, words):
    with pytest.raises(ConfigError, match=words):
        Rehearsal(**params)
