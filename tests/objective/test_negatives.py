"""The negative term against the published logit gradient, and its golden softmax steps."""

from __future__ import annotations

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.objective.negatives import Negatives

PI = torch.tensor([0.6, 0.3, 0.1])


def push_once(negatives: Negatives, sampled: int, sampler_logp: float = 0.0) -> torch.Tensor:
    """Return the logits' gradient for one sampled token."""
    logits = PI.log().requires_grad_()
    logps = logits.log_softmax(-1)[sampled][None, None]
    losses = negatives.token_losses(logps, torch.ones(1, 1), torch.tensor([sampler_logp]))
    losses.sum().backward()
    return logits.grad


@pytest.mark.parametrize("sampled", [0, 1, 2])
def test_the_push_by_probability_is_the_published_logit_gradient(sampled):
    expected = -PI[sampled] * PI
    expected[sampled] = PI[sampled] * (1 - PI[sampled])
    torch.testing.assert_close(push_once(Negatives(), sampled), expected)


def test_one_step_gives_the_golden_probabilities():
    after = (PI.log() - push_once(Negatives(), 0)).softmax(-1)
    torch.testing.assert_close(after, torch.tensor([0.503536, 0.383181, 0.113284]), atol=1e-6, rtol=0)


def test_on_policy_the_ratio_is_one_and_the_gradient_that_of_the_log_prob():
    after = (PI.log() - push_once(Negatives(push="ratio"), 0, sampler_logp=float(PI[0].log()))).softmax(-1)
    torch.testing.assert_close(after, torch.tensor([0.438277, 0.441291, 0.120433]), atol=1e-6, rtol=0)


def test_over_rows_of_a_frozen_sampler_the_ratio_gives_the_on_policy_gradient():
    """E_{y ~ q}[pi/q grad log pi 1{wrong}] by enumeration is grad P(wrong), where nothing is cut."""
    sampler, wrong = torch.tensor([0.2, 0.5, 0.3]), (0, 2)
    negatives = Negatives(push="ratio", max_ratio=1e6)
    found = sum(sampler[y] * push_once(negatives, y, float(sampler[y].log())) for y in wrong)
    logits = PI.log().requires_grad_()
    logits.softmax(-1)[list(wrong)].sum().backward()
    torch.testing.assert_close(found, logits.grad)


def test_the_ratio_is_cut_and_the_value_is_the_push():
    logps = torch.tensor([[-0.5, -1.0, 0.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    cut = Negatives(push="ratio", max_ratio=0.5).token_losses(logps, mask, torch.tensor([-9.0]))
    torch.testing.assert_close(cut, torch.tensor([[0.5, 0.5, 0.0]]))
    torch.testing.assert_close(Negatives().token_losses(logps, mask, torch.tensor([-9.0])), logps.exp() * mask)


@pytest.mark.parametrize(
    "wrong", [{"weight": -1}, {"rows_per_step": 0}, {"push": "down"}, {"max_ratio": 0}, {"weight": float("nan")}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="negatives was given"):
        Negatives(**wrong)
