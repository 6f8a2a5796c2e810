"""Divergence estimators against the exact divergence, and what each promises about sign and gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import kl
from rlkit.estimators.divergence import ESTIMATORS, GENERATORS, policy_slope, rehearsal_divergence

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


# Probabilities of three sampled tokens under the policy and under the reference, and what each estimator makes of them.
SAMPLED, SAMPLED_REF = np.array([0.5, 0.2, 0.05]), np.array([0.4, 0.3, 0.2])
P, Q = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2])
KL_PQ, KL_QP, JS = 0.025267, 0.025815, 0.006367


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("k1", [0.223144, -0.405465, -1.386294]),
        ("k2", [0.024897, 0.082201, 0.960906]),
        ("k3", [0.023144, 0.094535, 1.613706]),
    ],
)
def test_estimates_of_single_tokens(estimator, expected):
    np.testing.assert_allclose(kl(np.log(SAMPLED), np.log(SAMPLED_REF), estimator), expected, atol=1e-6)


def test_rehearsal_of_single_tokens():
    values = rehearsal_divergence(np.log(SAMPLED), np.log(SAMPLED_REF), "forward")
    np.testing.assert_allclose(values, [0.026856, 0.072132, 0.636294], atol=1e-6)


@pytest.mark.parametrize(
    ("divergence", "expected"),
    [("forward", [0.25, -1 / 3, -0.75]), ("js", [0.131701, -0.148762, -0.229073])],
)
def test_rehearsal_gradients_of_single_tokens(divergence, expected):
    logps = torch.tensor(np.log(SAMPLED), requires_grad=True)
    rehearsal_divergence(logps, torch.tensor(np.log(SAMPLED_REF)), divergence).sum().backward()
    np.testing.assert_allclose(logps.grad.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("divergence", "expected"),
    [
        ("reverse", [0.223144, -0.405465, -1.386294]),
        ("forward", [0.2, -0.5, -3]),
        ("js", np.log(2 * SAMPLED / (SAMPLED + SAMPLED_REF))),
        ("alpha", (1 - (SAMPLED / SAMPLED_REF) ** -0.2) / 0.2),
    ],
)
def test_slopes_of_single_tokens(divergence, expected):
    np.testing.assert_allclose(policy_slope(np.log(SAMPLED), np.log(SAMPLED_REF), divergence), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [("k1", KL_PQ), ("k2", 0.024862), ("k3", KL_PQ), ("forward", KL_QP), ("js", 2 * JS), ("alpha", 0.025354)],
)
def test_golden_expectations_under_the_policy(estimator, expected):
    assert P @ kl(np.log(P), np.log(Q), estimator) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("divergence", "expected"), [("reverse", KL_PQ), ("forward", KL_QP), ("js", 0.012734), ("alpha", 0.025354)]
)
def test_golden_expectations_under_the_reference(divergence, expected):
    assert Q @ rehearsal_divergence(np.log(P), np.log(Q), divergence) == pytest.approx(expected, abs=1e-6)


def test_js_is_twice_the_jensen_shannon_divergence():
    middle = (P + Q) / 2
    exact = (P @ np.log(P / middle) + Q @ np.log(Q / middle)) / 2
    assert exact == pytest.approx(JS, abs=1e-6)
    assert P @ kl(np.log(P), np.log(Q), "js") == pytest.approx(2 * exact, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_values_equal_the_plain_formulas(alpha):
    u = np.exp(np.linspace(-3, 3, 41))
    plain = {
        "reverse": u * np.log(u) - u + 1,
        "forward": u - np.log(u) - 1,
        "js": u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
        "alpha": (u ** (1 - alpha) - (1 - alpha) * u - alpha) / (alpha * (alpha - 1)),
    }
    for name, expected in plain.items():
        np.testing.assert_allclose(rehearsal_divergence(np.log(u), 0 * u, name, alpha), expected, atol=1e-12)
    for name in ("forward", "js", "alpha"):
        np.testing.assert_allclose(kl(np.log(u), 0 * u, name, alpha), plain[name] / u, atol=1e-12)


def test_alpha_lies_between_the_two_kls():
    near_forward, near_reverse = (Q @ rehearsal_divergence(np.log(P), np.log(Q), "alpha", a) for a in (0.9999, 0.0001))
    assert near_forward == pytest.approx(KL_QP, abs=1e-6)
    assert near_reverse == pytest.approx(KL_PQ, abs=1e-6)


@pytest.mark.parametrize("name", [*ESTIMATORS, *GENERATORS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_overflows_up_to_log_ratios_of_fifty(name, dtype):
    log_u = torch.cat([torch.linspace(-50, 50, 401), torch.tensor([-1.0, 1.0, 0.0, 1e-6])]).to(dtype).requires_grad_()
    for function, names in ((kl, ESTIMATORS), (rehearsal_divergence, GENERATORS)):
        if name in names:
            values = function(log_u, torch.zeros_like(log_u), name)
            (gradient,) = torch.autograd.grad(values.sum(), log_u)
            assert values.isfinite().all()
            assert gradient.isfinite().all()
            assert name == "k1" or values.min() > -1e-6
    if name in GENERATORS:
        assert policy_slope(log_u, torch.zeros_like(log_u), name).isfinite().all()


def test_js_stays_finite_where_its_value_is():
    far = torch.tensor([-300.0], requires_grad=True)
    value = rehearsal_divergence(far, torch.zeros(1), "js")
    value.backward()
    assert value.item() == pytest.approx(np.log(2))
    assert far.grad.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["k3", "forward", "js", "alpha"])
def test_float32_keeps_digits_where_the_policies_nearly_agree(name):
    log_u = np.array([1e-3, -1e-3])
    single = kl(torch.tensor(log_u, dtype=torch.float32), torch.zeros(2), name).double().numpy()
    # All four are the same parabola there, js with half the curvature.
    np.testing.assert_allclose(single, log_u**2 / (4 if name == "js" else 2), rtol=3e-3)


@pytest.mark.parametrize("name", GENERATORS)
def test_agreement_is_exactly_zero_in_value_and_gradient(name):
    logps = torch.tensor([-0.3, -7.0], requires_grad=True)
    values = rehearsal_divergence(logps, logps.detach().clone(), name)
    values.sum().backward()
    assert values.tolist() == [0.0, 0.0]
    assert logps.grad.tolist() == [0.0, 0.0]
    assert policy_slope(logps, logps, name).abs().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_torch_equals_numpy(name):
    log_u = np.linspace(-4, 4, 33)
    result = kl(torch.tensor(log_u), torch.zeros(33, dtype=torch.float64), name)
    np.testing.assert_allclose(result.numpy(), kl(log_u, np.zeros(33), name), rtol=1e-12, atol=1e-15)


@given(st.floats(-60, 60), st.sampled_from(["k3", "forward", "js", "alpha"]))
def test_divergences_are_never_negative(log_ratio, name):
    assert kl(np.array([log_ratio]), np.zeros(1), name)[0] >= -1e-15


def test_a_clamp_bounds_the_value_and_stops_the_gradient():
    logps = torch.tensor([-30.0, -2.0, 30.0], requires_grad=True)
    values = rehearsal_divergence(logps, torch.zeros(3), "forward", clamp=20.0)
    values.sum().backward()
    expected = rehearsal_divergence(torch.tensor([-20.0, -2.0, 20.0]), torch.zeros(3), "forward")
    torch.testing.assert_close(values.detach(), expected)
    assert logps.grad[[0, 2]].tolist() == [0.0, 0.0]
    assert logps.grad[1].item() == pytest.approx(np.exp(-2) - 1)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, np.nan, True, "0.2", None])
def test_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        kl(np.zeros(1), np.zeros(1), "alpha", alpha)


@pytest.mark.parametrize("clamp", [0, -1, np.nan, True, "20"])
def test_clamp_out_of_range_is_refused(clamp):
    with pytest.raises(ConfigError, match="positive log ratio"):
        rehearsal_divergence(np.zeros(1), np.zeros(1), clamp=clamp)


def test_an_unknown_divergence_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'forward'"):
        rehearsal_divergence(np.zeros(1), np.zeros(1), "forwards")
    with pytest.raises(ConfigError, match="No divergence is called None"):
        policy_slope(np.zeros(1), np.zeros(1), None)
