"""Token entropy against closed forms, with forbidden tokens, low precision and chunking."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.estimators import entropy_from_logits


def test_golden_and_uniform() -> None:
    assert entropy_from_logits(torch.tensor([2.0, 1.0, 0.0, -1.0])).item() == pytest.approx(0.9475369640, abs=1e-6)
    assert entropy_from_logits(torch.full((3, 50), 7.0)) == pytest.approx([math.log(50)] * 3, abs=1e-5)


def test_forbidden_tokens_contribute_nothing_in_value_and_gradient() -> None:
    logits = torch.tensor([[0.5, 1.5, -torch.inf]], requires_grad=True)
    entropy = entropy_from_logits(logits)
    torch.testing.assert_close(entropy, entropy_from_logits(torch.tensor([[0.5, 1.5]])))
    entropy.sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 2] == 0


def test_a_certain_token_has_no_entropy_and_no_distribution_is_nan() -> None:
    assert entropy_from_logits(torch.tensor([0.0, -torch.inf])).item() == 0.0
    assert math.isnan(entropy_from_logits(torch.full((2,), -torch.inf)).item())


def test_chunks_change_nothing() -> None:
    logits = torch.randn(5, 7, 11, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        entropy_from_logits(logits, chunk_entries=13), entropy_from_logits(logits), rtol=0, atol=0
    )
    assert entropy_from_logits(torch.empty(0, 11)).shape == (0,)


def test_gradient_equals_the_closed_form() -> None:
    logits = torch.randn(6, generator=torch.Generator().manual_seed(1), dtype=torch.float32, requires_grad=True)
    entropy = entropy_from_logits(logits)
    entropy.backward()
    logps = torch.log_softmax(logits.detach(), -1)
    torch.testing.assert_close(logits.grad, -logps.exp() * (logps + entropy.detach()))


def test_low_precision_logits_are_upcast() -> None:
    logits = torch.linspace(-3, 3, 1000).to(torch.bfloat16)
    result = entropy_from_logits(logits)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, entropy_from_logits(logits.double()))
