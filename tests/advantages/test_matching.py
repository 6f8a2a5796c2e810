"""FlowRL with the group's log Z: worked numbers, the gradient of the published loss, a slow twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, SubtractDrift, chain, resolve
from rlkit.errors import ConfigError, MissingInputError

A, LOGPS, REF_LOGPS = [1.0, 1, -1, -1], [-0.3, -0.5, -0.4, -0.6], [-0.35, -0.45, -0.45, -0.5]
CTX = GroupContext(mean_logps_PG=np.array([LOGPS]), ref_mean_logps_PG=np.array([REF_LOGPS]))


def centre_residuals(advantages, beta=15.0, ctx=CTX):
    """Return what the last two transforms make of advantages: minus the residuals over beta."""
    spec = chain({"name": "subtract_drift", "beta": beta}, "subtract_group_mean")
    return spec(np.array([advantages], dtype=float), ctx)[0]


def test_worked_residuals_and_gradient():
    ours = centre_residuals(A)
    np.testing.assert_allclose(-15 * ours, [-14.9375, -15.0375, 15.0625, 14.9125], atol=1e-9)
    np.testing.assert_allclose(-2 / 4 * 15 * ours, [-7.46875, -7.51875, 7.53125, 7.45625], atol=1e-9)
    np.testing.assert_allclose(-15 * centre_residuals([0.0] * 4), [0.0625, -0.0375, 0.0625, -0.0875], atol=1e-9)


@pytest.mark.parametrize("is_detached", [True, False])
def test_it_is_the_gradient_of_the_published_loss_whether_log_z_is_detached_or_not(is_detached):
    logps = torch.tensor(LOGPS, dtype=torch.float64, requires_grad=True)
    drifts = logps - torch.tensor(REF_LOGPS, dtype=torch.float64)
    log_z = (15 * torch.tensor(A) - drifts).mean()
    loss = ((log_z.detach() if is_detached else log_z) + drifts - 15 * torch.tensor(A)).pow(2).mean()
    loss.backward()
    assert log_z.item() == pytest.approx(0.0125)
    assert loss.item() == pytest.approx(224.629219, abs=1e-6)
    np.testing.assert_allclose(logps.grad.numpy(), -2 * 15 / 4 * centre_residuals(A), atol=1e-9)


def slow_twin(rewards, logps, ref_logps, beta):
    scored = [i for i, r in enumerate(rewards) if not math.isnan(r)]
    result = [math.nan] * len(rewards)
    if len(scored) < 2:
        return result
    mean = sum(rewards[i] for i in scored) / len(scored)
    std = math.sqrt(sum((rewards[i] - mean) ** 2 for i in scored) / (len(scored) - 1))
    shaped = {i: beta * (rewards[i] - mean) / (std + 1e-6) - (logps[i] - ref_logps[i]) for i in scored}
    log_z = sum(shaped.values()) / len(shaped)
    for i in scored:
        result[i] = (shaped[i] - log_z) / beta
    return result


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, math.nan]), st.floats(-5, 0), st.floats(-5, 0)), min_size=1, max_size=9
    ),
    st.sampled_from([1.0, 15.0]),
)
def test_it_equals_its_slow_twin(group, beta):
    rewards, logps, ref_logps = zip(*group, strict=True)
    ctx = GroupContext(mean_logps_PG=np.array([logps]), ref_mean_logps_PG=np.array([ref_logps]))
    ours = resolve({"name": "flow_rl", "beta": beta})(np.array([rewards]), ctx)[0]
    np.testing.assert_allclose(ours, slow_twin(rewards, logps, ref_logps, beta), atol=1e-9)


def test_without_drift_it_is_grpo_and_in_uniform_groups_it_only_pulls_back():
    still = GroupContext(mean_logps_PG=np.array([LOGPS]), ref_mean_logps_PG=np.array([LOGPS]))
    rewards = np.array([[1.0, 0, 0, 1]])
    np.testing.assert_allclose(resolve("flow_rl")(rewards, still), resolve({"name": "grpo", "eps": 1e-6})(rewards))
    for reward in (0.0, 1.0):
        pulled = resolve("flow_rl")(np.full((1, 4), reward), CTX)[0]
        drifts = np.subtract(LOGPS, REF_LOGPS)
        np.testing.assert_allclose(pulled, -(drifts - drifts.mean()) / 15)


def test_what_it_asks_for():
    assert resolve("flow_rl").needs == {"mean_logps_PG", "ref_mean_logps_PG"}
    with pytest.raises(MissingInputError, match=r"ref_mean_logps_PG.*a trainer"):
        resolve("flow_rl")(np.ones((1, 4)), GroupContext(mean_logps_PG=np.array([LOGPS])))
    with pytest.raises(ConfigError, match="beta=0"):
        SubtractDrift(beta=0)
    assert SubtractDrift.makes == "rewards"
