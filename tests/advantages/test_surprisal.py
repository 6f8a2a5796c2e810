"""UCPO against the released code's numbers and a slow twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import FavourUnlikelyCorrect, GroupContext, resolve
from rlkit.errors import ConfigError, MissingInputError

HALF = [1.0] * 4 + [0.0] * 4
LOGPS = [-0.2, -0.4, -0.8, -1.6, -0.1, -0.2, -3.0, -0.5]


def weigh(logps, rewards=None, **params):
    """Return the factor of each correct completion whose log-probs are given, or what is made of those rewards."""
    rewards = [1.0] * len(logps) if rewards is None else rewards
    return FavourUnlikelyCorrect(**params)(np.array([rewards]), GroupContext(mean_logps_PG=np.array([logps])))[0]


@pytest.mark.parametrize(
    ("logps", "tau", "expected"),
    [
        (LOGPS[:4], 0.2, [0.898781, 0.920651, 0.979991, 1.200577]),
        (LOGPS[:4], 1.0, [0.493905, 0.603257, 0.899954, 2.002884]),
        ([-0.30, -0.31, -0.32, -0.33], 0.2, [0.99701, 0.99899, 1.00099, 1.00301]),
        # Sums over 100 tokens, which it is not to be given: three of four fall to the floor.
        ([-20.0, -40.0, -80.0, -160.0], 0.2, [0.8, 1.066667, 1.066667, 1.066667]),
    ],
    ids=str,
)
def test_worked_weights(logps, tau, expected):
    np.testing.assert_allclose(weigh(logps, tau=tau), expected, atol=2e-6)


def test_worked_advantages():
    ctx = GroupContext(mean_logps_PG=np.array([LOGPS]))
    advantages = resolve({"name": "ucpo", "tau": 0.2})(np.array([HALF]), ctx)[0]
    np.testing.assert_allclose(advantages[:4], [0.840733, 0.861191, 0.916697, 1.123037], atol=1e-5)
    np.testing.assert_allclose(advantages[4:], [-0.935414] * 4, atol=1e-5)
    assert resolve("ucpo") == resolve({"name": "ucpo", "tau": 0.2})


def test_the_additive_form_adds_the_surprisal_above_its_mean():
    probs = np.exp(LOGPS[:4]) / np.exp(LOGPS[:4]).sum()
    np.testing.assert_allclose(probs, [0.382535, 0.313193, 0.20994, 0.094332], atol=1e-6)
    added = weigh(LOGPS[:4], tau=0.5, form="additive") - 1
    np.testing.assert_allclose(added, 0.5 * (-np.log(probs) + (probs * np.log(probs)).sum()), atol=1e-12)
    assert (probs * added).sum() == pytest.approx(0, abs=1e-12)


def slow_twin(rewards, logps, tau, form):
    scored = [r for r in rewards if not math.isnan(r)]
    if len(scored) < 2:
        return [math.nan] * len(rewards)
    mean = sum(scored) / len(scored)
    std = math.sqrt(sum((r - mean) ** 2 for r in scored) / (len(scored) - 1))
    advantages = [(r - mean) / (std + 1e-8) for r in rewards]
    right = [i for i, r in enumerate(rewards) if r == 1]
    if len(right) < 2:
        return advantages
    total = sum(math.exp(logps[i]) for i in right)
    probs = {i: max(math.exp(logps[i]) / total, 1e-6) for i in right}
    inverse = sum(1 / p for p in probs.values())
    entropy = -sum(p * math.log(p) for p in probs.values())
    for i in right:
        if form == "inverse":
            weight = (1 - tau) / len(right) + tau / probs[i] / inverse
            advantages[i] *= len(right) * weight
        else:
            advantages[i] += tau * (-math.log(probs[i]) - entropy)
    return advantages


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, math.nan]), st.floats(-20, 0)), min_size=1, max_size=9),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.sampled_from(["inverse", "additive"]),
)
def test_it_equals_its_slow_twin(group, tau, form):
    rewards, logps = (np.array([values]) for values in zip(*group, strict=True))
    ours = resolve({"name": "ucpo", "tau": tau, "form": form})(rewards, GroupContext(mean_logps_PG=logps))[0]
    expected = slow_twin(rewards[0].tolist(), logps[0].tolist(), tau, form)
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-9)


@given(st.lists(st.floats(-5, 0), min_size=2, max_size=8), st.floats(0, 1))
def test_the_credit_of_the_correct_ones_is_kept_and_the_less_likely_never_get_less(logps, tau):
    weights = weigh(logps, tau=tau)
    assert weights.mean() == pytest.approx(1)
    assert (np.diff(weights[np.argsort(logps)]) <= 1e-12).all()


def test_wrong_ones_and_a_lone_correct_one_stay_as_they_are():
    assert weigh(LOGPS[:4], [1.0, 0, 0, 0], tau=1.0).tolist() == [1, 0, 0, 0]
    assert weigh(LOGPS[:4], [0.0, 0, 0, 0], tau=1.0).tolist() == [0, 0, 0, 0]


def test_correct_completions_of_no_tokens_have_no_likelihood():
    result = weigh([math.nan, -0.4, -0.8, math.nan], [1.0, 1, 1, 0], tau=1.0)
    assert math.isnan(result[0])
    np.testing.assert_allclose(result[1:3], weigh([-0.4, -0.8], tau=1.0))
    assert result[3] == 0
    assert weigh([math.nan, -0.4], tau=1.0)[1] == 1


def test_what_it_asks_for():
    assert resolve("ucpo").needs == {"mean_logps_PG"}
    with pytest.raises(MissingInputError, match="mean_logps_PG"):
        resolve("ucpo")(np.array([HALF]))
    assert FavourUnlikelyCorrect.makes == "rewards"
    assert resolve("ucpo").min_group_size == 2


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"tau": -0.1}, r"tau=-0\.1"),
        ({"tau": 1.5}, r"tau=1\.5; write a number from 0 to 1"),
        ({"form": "plus"}, "Allowed: additive, inverse"),
        ({"floor": 0}, "floor=0"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_with_a_sentence(params, words):
    with pytest.raises(ConfigError, match=words):
        FavourUnlikelyCorrect(**params)
    assert FavourUnlikelyCorrect(form="additive", tau=1.5).tau == 1.5
