"""Anchors: which divergence a loss of each really descends, by enumerating a small softmax."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.errors import ConfigError, PluginError
from rlkit.estimators import kl
from rlkit.objective.anchors import ANCHORS, Anchor, resolve_anchor
from rlkit.objective.coefficients import Constant, Linear
from rlkit.objective.references import Ema, Initial

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.4, 0.4, 0.2], dtype=torch.float64)
REVERSE, FORWARD = [0.098938, -0.093885, -0.005053], [0.1, -0.1, 0.0]
NAMES = ["k2", "k3", "forward", "js", "alpha"]
ALPHA = 0.2


def exact_divergence(logps_V, name, alpha=ALPHA):
    """The divergence of softmax policy and reference that a loss of `name` must descend."""
    pi, ref = logps_V.exp(), Q
    middle = (pi + ref) / 2
    return {
        "k2": (pi * (logps_V - ref.log())).sum(),
        "k3": (ref * (ref.log() - logps_V)).sum(),
        "forward": (ref * (ref.log() - logps_V)).sum(),
        "js": (pi * (logps_V - middle.log())).sum() + (ref * (ref.log() - middle.log())).sum(),
        "alpha": ((pi ** (1 - alpha) * ref**alpha).sum() - 1) / (alpha * (alpha - 1)),
    }[name]


def logit_gradient(loss_of_logps):
    logits_V = P.log().clone().requires_grad_()
    (gradient_V,) = torch.autograd.grad(loss_of_logps(torch.log_softmax(logits_V, -1)), logits_V)
    return gradient_V


def expected_loss(anchor):
    """Mean loss over tokens sampled from the policy: the sampling itself carries no gradient."""
    return lambda logps_V: (logps_V.exp().detach() * anchor.losses(logps_V[None], Q.log()[None])[0]).sum()


@pytest.mark.parametrize("name", NAMES)
def test_expected_gradient_is_that_of_the_divergence(name):
    exact_V = logit_gradient(lambda logps_V: exact_divergence(logps_V, name))
    torch.testing.assert_close(logit_gradient(expected_loss(Anchor(name))), exact_V, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize(("name", "expected"), [("k2", REVERSE), ("k3", FORWARD), ("forward", FORWARD)])
def test_golden_gradients(name, expected):
    assert logit_gradient(expected_loss(Anchor(name))).tolist() == pytest.approx(expected, abs=1e-6)


def test_k1_as_a_loss_would_have_no_gradient_and_is_refused():
    def loss(logps_V):
        return (logps_V.exp().detach() * kl(logps_V, Q.log(), "k1")).sum()

    assert logit_gradient(loss).tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    with pytest.raises(ConfigError, match=r"estimator: k2 .* or where: reward"):
        Anchor("k1")


def reward_gradient(name):
    """Gradient of the expected penalty when it is part of the reward of a policy gradient."""
    anchor = Anchor(name, where="reward")

    def loss(logps_V):
        return (logps_V.exp().detach() * anchor.penalties(logps_V, Q.log()) * logps_V).sum()

    return logit_gradient(loss).tolist()


def test_in_the_reward_k1_descends_the_reverse_divergence():
    assert reward_gradient("k1") == pytest.approx(REVERSE, abs=1e-6)


@pytest.mark.parametrize("name", ["k2", "k3", "forward", "js", "alpha"])
def test_in_the_reward_falls_what_falls_in_the_loss(name):
    in_the_loss = logit_gradient(expected_loss(Anchor(name))).tolist()
    assert max(map(abs, in_the_loss)) > 0.01
    assert reward_gradient(name) == pytest.approx(in_the_loss, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_estimates_and_have_no_gradient(name):
    logps_BT = P.log().reshape(1, 3).clone().requires_grad_()
    anchor, ref_logps_BT = Anchor(name), Q.log().reshape(1, 3).requires_grad_()
    losses_BT, values_BT = anchor.losses(logps_BT, ref_logps_BT), anchor.values(logps_BT, ref_logps_BT)
    torch.testing.assert_close(losses_BT.detach(), kl(logps_BT, ref_logps_BT, name).detach())
    assert torch.equal(values_BT, losses_BT.detach())
    assert not values_BT.requires_grad
    assert not anchor.penalties(logps_BT, ref_logps_BT).requires_grad
    losses_BT.sum().backward()
    assert ref_logps_BT.grad is None


@pytest.mark.parametrize("name", ["k3", "forward", "js", "alpha"])
def test_a_clamp_bounds_value_and_gradient(name):
    logps_BT = torch.tensor([[-60.0, -1.0, 60.0]], requires_grad=True)
    losses_BT = Anchor(name, log_ratio_clamp=5.0).losses(logps_BT, torch.zeros(1, 3))
    losses_BT.sum().backward()
    at_clamp_BT = Anchor(name).values(torch.tensor([[-5.0, -1.0, 5.0]]), torch.zeros(1, 3))
    torch.testing.assert_close(losses_BT.detach(), at_clamp_BT)
    assert logps_BT.grad[0, [0, 2]].tolist() == [0.0, 0.0]
    assert logps_BT.grad[0, 1] != 0


@pytest.mark.parametrize("name", NAMES)
def test_far_off_tokens_stay_finite(name):
    logps_BT = torch.tensor([[-50.0, 50.0]], requires_grad=True)
    losses_BT = Anchor(name).losses(logps_BT, torch.zeros(1, 2))
    losses_BT.sum().backward()
    assert losses_BT.isfinite().all()
    assert logps_BT.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_detached_ratio_keeps_the_gradient_off_policy(name):
    old_V = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)

    def loss(logps_V):
        ratio_V = (logps_V.detach() - old_V.log()).exp()
        return (old_V * ratio_V * Anchor(name).losses(logps_V[None], Q.log()[None])[0]).sum()

    exact_V = logit_gradient(lambda logps_V: exact_divergence(logps_V, name))
    torch.testing.assert_close(logit_gradient(loss), exact_V, atol=1e-12, rtol=1e-10)


def test_a_ratio_with_gradient_turns_k3_into_the_reverse_divergence():
    old_V = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)

    def loss(logps_V):
        ratio_V = (logps_V - old_V.log()).exp()
        return (old_V * ratio_V * Anchor("k3").losses(logps_V[None], Q.log()[None])[0]).sum()

    assert logit_gradient(loss).tolist() == pytest.approx(REVERSE, abs=1e-6)


def test_defaults_and_what_they_resolve_to():
    anchor = Anchor()
    assert (anchor.estimator, anchor.where, anchor.only, anchor.mastered_above) == ("k3", "loss", "all", 0.875)
    assert anchor.coefficient == Constant(0.001)
    assert anchor.reference_policy == Initial()
    moving = Anchor(coef={"name": "linear", "start": 0.1, "end": 0, "steps": 3}, reference={"name": "ema"})
    assert moving.coefficient == Linear(0.1, 0, 3)
    assert moving.reference_policy == Ema()


def test_mastery_starts_at_the_threshold():
    assert [Anchor().is_mastered(share) for share in (6 / 8, 7 / 8, 1.0, math.nan)] == [False, True, True, False]


@pytest.mark.parametrize("name", [*NAMES, "kl"])
def test_names_resolve(name):
    anchor = resolve_anchor({"name": name, "coef": 0.5})
    assert anchor == Anchor(estimator="k3" if name == "kl" else name, coef=0.5)
    assert resolve_anchor(anchor) is anchor
    assert name in ANCHORS.names()


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: Anchor("k4"), ConfigError, r"estimator='k4'"),
        (lambda: Anchor(3), ConfigError, "estimator=3"),
        (lambda: Anchor(where="rewards"), ConfigError, "Did you mean 'reward'"),
        (lambda: Anchor(only="hard"), ConfigError, "Allowed: all, mastered"),
        (lambda: Anchor(alpha=1), ConfigError, "between 0 and 1"),
        (lambda: Anchor(mastered_above=True), ConfigError, "mastered_above=True"),
        (lambda: Anchor(mastered_above=1.5), ConfigError, "from 0 to 1"),
        (lambda: Anchor(log_ratio_clamp=0), ConfigError, "above 0"),
        (lambda: Anchor(importance_corrected=1), ConfigError, "true or false"),
        (lambda: Anchor(coef=-1), ConfigError, "value=-1"),
        (lambda: Anchor(coef=math.nan), ConfigError, "value=nan"),
        (lambda: Anchor(coef={"name": "liner"}), PluginError, "Did you mean 'linear'"),
        (lambda: Anchor(reference="intial"), PluginError, "Did you mean 'initial'"),
        (lambda: resolve_anchor({"name": "js", "estimator": "k2"}), PluginError, "no parameter 'estimator'"),
        (lambda: resolve_anchor(len), PluginError, "an anchor is"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(build, error, words):
    with pytest.raises(error, match=words):
        build()
