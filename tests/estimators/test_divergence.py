"""KL estimators against the exact divergence, and what each promises about sign and gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import kl

POLICY = np.array([0.6, 0.3, 0.1])
REFERENCE = np.array([0.4, 0.4, 0.2])


@pytest.mark.parametrize(("estimator", "expected"), [("k1", 0.0876597251), ("k2", 0.0857573831), ("k3", 0.0876597251)])
def test_expectation_under_the_policy(estimator: str, expected: float) -> None:
    per_token = kl(np.log(POLICY), np.log(REFERENCE), estimator)
    assert POLICY @ per_token == pytest.approx(expected, abs=1e-10)


@given(st.floats(-20, 0), st.floats(-20, 0))
def test_k2_and_k3_are_never_negative(logp: float, ref_logp: float) -> None:
    assert kl(np.array([logp]), np.array([ref_logp]), "k2")[0] >= 0
    assert kl(np.array([logp]), np.array([ref_logp]), "k3")[0] >= -1e-15


def test_k3_keeps_digits_where_the_policies_nearly_agree() -> None:
    log_ratio = np.array([1e-6, -1e-6])
    np.testing.assert_allclose(kl(-log_ratio, np.zeros(2), "k3"), log_ratio**2 / 2, rtol=1e-4)


def test_torch_equals_numpy_and_keeps_gradients() -> None:
    logps = torch.log(torch.tensor(POLICY)).requires_grad_()
    values = kl(logps, torch.log(torch.tensor(REFERENCE)), "k3")
    np.testing.assert_allclose(values.detach().numpy(), kl(np.log(POLICY), np.log(REFERENCE), "k3"), rtol=1e-12)
    values.sum().backward()
    np.testing.assert_allclose(logps.grad.numpy(), 1 - REFERENCE / POLICY, rtol=1e-12)


def test_k2_has_the_gradient_of_the_true_divergence() -> None:
    logits = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    reference = torch.log(torch.tensor(REFERENCE))
    logps = torch.log_softmax(logits, -1)
    (exact,) = torch.autograd.grad((logps.exp() * (logps - reference)).sum(), logits, retain_graph=True)
    (estimated,) = torch.autograd.grad((logps.exp().detach() * kl(logps, reference, "k2")).sum(), logits)
    torch.testing.assert_close(estimated, exact)


def test_plain_numbers_are_taken() -> None:
    assert kl(-1.0, -1.5, "k1") == pytest.approx(0.5)
    assert kl([-1.0], [-1.5]).shape == (1,)


def test_unknown_estimator_and_shapes_are_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'k3'"):
        kl(np.zeros(2), np.zeros(2), "k33")
    with pytest.raises(ConfigError, match="one shape"):
        kl(np.zeros(2), np.zeros(3))
