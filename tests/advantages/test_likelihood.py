"""Transforms that read log-probabilities, against worked numbers and slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.likelihood import DiscountByLikelihoodRank, ReweightByConfidence, measure_confidence
from rlkit.errors import ConfigError, MissingInputError

HALF = np.array([[1.0, 1, 1, 0, 0, 0]])
MEAN_LOGPS = np.array([[-0.2, -0.5, -0.9, -0.1, -0.4, -1.2]])
LOGPS = np.array(
    [
        [
            [-0.01, -0.02, -1.2, -0.05, -0.9],
            [-0.3, -2, -0.1, -1.5, -0.02],
            [-0.05, -0.01, -0.3, -0.02, -0.2],
            [-1, -0.2, -0.1, -0.6, -0.4],
            [-0.7, -0.9, -0.1, -0.1, -0.1],
            [-0.02, -0.01, -0.03, -0.5, -0.01],
        ]
    ]
)
PROMPT_LOGPS = np.array([[math.nan, -0.5, -0.1, -2.3, -0.7, -0.05]])
"""The first token of a prompt has no log-probability."""
CONFIDENCES = [0.301194, 0.135335, 0.740818, 0.367879, 0.406570, 0.606531]
PRO_GRPO = [0.852589, 0.902346, 0.720701, -0.993155, -1.004763, -1.064751]
UNSHIFTED = [0.912869] * 3 + [-0.912869] * 3


def build_context(**fields):
    return GroupContext(**{"logps_PGT": LOGPS, "prompt_logps_PS": PROMPT_LOGPS, **fields})


def test_unlikeliness_worked_numbers():
    ctx = GroupContext(mean_logps_PG=MEAN_LOGPS)
    discounted = DiscountByLikelihoodRank()(HALF, ctx)
    np.testing.assert_allclose(discounted[0], [0.833333, 0.916667, 0.958333, 0, 0, 0], atol=1e-6)
    expected = [0.769881, 0.937855, 1.021842, -0.909859, -0.909859, -0.909859]
    np.testing.assert_allclose(resolve("unlikeliness")(HALF, ctx)[0], expected, atol=1e-5)


def slow_discount(rewards, logps, coef):
    ranked = sorted((i for i, r in enumerate(rewards) if not math.isnan(r)), key=lambda i: (logps[i], i))
    result = [math.nan] * len(rewards)
    for rank, i in enumerate(ranked):
        result[i] = rewards[i] * (1 - coef * rank / len(ranked))
    return result


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, 0.5, math.nan]), st.sampled_from([-0.1, -0.5, -2.0, -math.inf]))),
    st.sampled_from([0.0, 0.25, 1.0]),
)
def test_discounts_equal_their_slow_twin_and_equals_rank_by_index(group, coef):
    rewards, logps = [r for r, _ in group] + [1.0], [p for _, p in group] + [-0.3]
    ours = DiscountByLikelihoodRank(coef)(np.array([rewards]), GroupContext(mean_logps_PG=np.array([logps])))
    np.testing.assert_allclose(ours[0], slow_discount(rewards, logps, coef), atol=1e-12)


def test_wrong_completions_count_in_ranks_unless_only_correct_ones_are_asked_for():
    ctx = GroupContext(mean_logps_PG=MEAN_LOGPS)
    among_correct = DiscountByLikelihoodRank(among="correct")(HALF, ctx)[0]
    np.testing.assert_allclose(among_correct, [1 - 0.25 * 2 / 3, 1 - 0.25 / 3, 1, 0, 0, 0])
    verified = GroupContext(mean_logps_PG=MEAN_LOGPS, correct_PG=HALF)
    np.testing.assert_allclose(
        DiscountByLikelihoodRank(among="correct")(HALF * 2 - 1, verified)[0], [*among_correct[:3], -1, -1, -1]
    )


def test_the_likeliest_wrong_answer_is_punished_least_when_rewards_are_negative():
    ctx = GroupContext(mean_logps_PG=np.array([[-0.1, -2.0]]))
    assert DiscountByLikelihoodRank(0.5)(np.array([[-1.0, -1.0]]), ctx).tolist() == [[-0.75, -1.0]]


def test_a_completion_of_no_tokens_is_not_ranked():
    logps = LOGPS.copy()
    logps[0, 0] = math.nan
    result = DiscountByLikelihoodRank()(HALF, GroupContext(logps_PGT=logps))[0]
    assert math.isnan(result[0])
    ctx = GroupContext(mean_logps_PG=LOGPS[:, 1:].mean(axis=2))
    np.testing.assert_allclose(result[1:], DiscountByLikelihoodRank()(HALF[:, 1:], ctx)[0])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, PRO_GRPO),
        ({"fraction": 0.4}, [0.874827, 0.927676, 0.746168, -0.980729, -0.980729, -1.076092]),
        ({"correct_only": True}, [*PRO_GRPO[:3], *UNSHIFTED[3:]]),
        ({"coef": 0.0}, UNSHIFTED),
    ],
    ids=str,
)
def test_pro_grpo_worked_numbers(params, expected):
    result = resolve({"name": "pro_grpo", **params})(HALF, build_context())[0]
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_the_shift_is_not_centred_again():
    assert resolve("pro_grpo")(HALF, build_context()).sum() == pytest.approx(-0.587033, abs=1e-5)


def test_confidence_worked_numbers():
    np.testing.assert_allclose(measure_confidence(torch.tensor(LOGPS), 0.2, None)[0], CONFIDENCES, atol=1e-6)
    prompt = measure_confidence(torch.tensor(PROMPT_LOGPS), 0.2, None)
    np.testing.assert_allclose(prompt, [0.100259], atol=1e-6)
    wider = measure_confidence(torch.tensor(LOGPS), 0.4, None)[0]
    np.testing.assert_allclose(wider, [0.349938, 0.173774, 0.778801, 0.449329, 0.449329, 0.767206], atol=1e-6)


def slow_confidence(logps, fraction, below):
    known = sorted(p for p in logps if not math.isnan(p))
    if not known:
        return math.nan
    if below is None:
        taken = known[: max(1, math.ceil(round(fraction * len(known), 6)))]
    else:
        taken = [p for p in known if math.exp(p) < below] or known[:1]
    return math.exp(sum(taken) / len(taken))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([-3.0, -1.0, -0.7, -0.2, -0.01, 0.0, math.nan]), max_size=30),
    st.sampled_from([(0.2, None), (0.07, None), (1.0, None), (None, 0.9), (None, 0.3), (None, 1.0)]),
)
def test_confidence_equals_its_slow_twin(logps, rule):
    ours = measure_confidence(torch.tensor([logps], dtype=torch.float64), *rule)[0].item()
    np.testing.assert_allclose(ours, slow_confidence(logps, *rule), rtol=1e-12)


def test_a_fraction_of_a_hundred_tokens_is_not_one_token_more():
    logps = torch.tensor([-3.0] * 7 + [-1.0] * 93, dtype=torch.float64)
    assert 0.07 * 100 > 7
    assert measure_confidence(logps, 0.07, None).item() == pytest.approx(math.exp(-3))


def test_more_padding_changes_nothing():
    wide = np.concatenate([LOGPS, np.full((1, 6, 9), math.nan)], axis=2)
    long_prompt = np.concatenate([np.full((1, 4), math.nan), PROMPT_LOGPS], axis=1)
    for params in ({}, {"fraction": None, "below": 0.5}, {"select_in_prompt": False}):
        chain = resolve({"name": "pro_grpo", **params})
        padded = chain(HALF, build_context(logps_PGT=wide, prompt_logps_PS=long_prompt))
        np.testing.assert_array_equal(padded, chain(HALF, build_context()))


def test_a_threshold_takes_every_token_below_it():
    result = ReweightByConfidence(1.0, fraction=None, below=0.5)(np.zeros((1, 6)), build_context(correct_PG=HALF))[0]
    assert result[0] == pytest.approx(math.exp(-(2.3 + 0.7) / 2) - math.exp(-(1.2 + 0.9) / 2))
    assert result[2] == pytest.approx(math.exp(-(2.3 + 0.7) / 2) - math.exp(-0.3)), "at least the least certain token"


def test_the_prompts_confidence_can_be_of_all_its_tokens():
    shifts = [
        ReweightByConfidence(1.0, select_in_prompt=select)(HALF, build_context())[0] - HALF[0]
        for select in (True, False)
    ]
    np.testing.assert_allclose(shifts[0] - shifts[1], math.exp(-2.3) - math.exp(-(0.5 + 0.1 + 2.3 + 0.7 + 0.05) / 5))


def test_groups_without_a_correct_completion_stay_as_they_are():
    values = np.array([[0.3, -0.3, 0.1, 0.2, -0.2, -0.1]])
    assert (ReweightByConfidence()(values, build_context(correct_PG=np.zeros((1, 6)))) == values).all()
    unknown = np.full((1, 6), math.nan)
    assert (ReweightByConfidence()(values, build_context(correct_PG=unknown)) == values).all()


def test_groups_that_are_all_right_can_be_left_alone():
    right = np.ones((1, 6))
    assert (resolve({"name": "pro_grpo", "on_all_correct": False})(right, build_context()) == 0).all()
    expected = 0.3 * (0.100259 - np.array(CONFIDENCES))
    np.testing.assert_allclose(resolve("pro_grpo")(right, build_context())[0], expected, atol=1e-6)


def test_an_unscored_sibling_does_not_keep_a_group_from_being_all_right():
    right = np.array([[1.0, 1, 1, 1, 1, math.nan]])
    result = resolve({"name": "pro_grpo", "on_all_correct": False})(right, build_context())[0]
    assert (result[:5] == 0).all()
    assert math.isnan(result[5])


def test_what_has_no_confidence_is_nan_only_where_the_term_applies():
    logps = LOGPS.copy()
    logps[0, [0, 5]] = math.nan
    chain = {"name": "pro_grpo", "correct_only": True}
    result = resolve(chain)(HALF, build_context(logps_PGT=logps))[0]
    assert np.isnan(result).tolist() == [True] + [False] * 5
    one_token_prompt = build_context(prompt_logps_PS=np.full((1, 1), math.nan))
    assert np.isnan(resolve(chain)(HALF, one_token_prompt)[0]).tolist() == [True] * 3 + [False] * 3
    assert np.isfinite(resolve("pro_grpo")(0 * HALF, one_token_prompt)).all(), "all wrong: no term, nothing undefined"


def test_log_probabilities_do_not_carry_gradients_into_advantages():
    logps_PGT = torch.tensor(LOGPS, requires_grad=True)
    prompt_logps_PS = torch.tensor(PROMPT_LOGPS, requires_grad=True)
    ctx = build_context(logps_PGT=logps_PGT, prompt_logps_PS=prompt_logps_PS)
    assert not resolve("pro_grpo")(torch.tensor(HALF), ctx).requires_grad
    assert not resolve("unlikeliness")(torch.tensor(HALF), ctx).requires_grad


def test_correctness_comes_from_the_verifier_or_from_binary_rewards():
    with pytest.raises(MissingInputError, match=r"reweight_by_confidence.*0\.5.*correct_reward"):
        resolve("pro_grpo")(HALF / 2, build_context())
    shaped = resolve("pro_grpo")(HALF * 0.5 + 0.1, build_context(correct_PG=HALF))[0]
    np.testing.assert_allclose(shaped, PRO_GRPO, atol=1e-5)


@pytest.mark.parametrize(
    ("preset", "ctx", "field"),
    [
        ("unlikeliness", GroupContext(), "mean_logps_PG"),
        ("pro_grpo", GroupContext(prompt_logps_PS=PROMPT_LOGPS), "logps_PGT"),
        ("pro_grpo", GroupContext(logps_PGT=LOGPS), "prompt_logps_PS"),
    ],
)
def test_chains_say_what_they_need_and_miss(preset, ctx, field):
    assert field in resolve(preset).needs
    with pytest.raises(MissingInputError, match=field):
        resolve(preset)(HALF, ctx)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: DiscountByLikelihoodRank(coef=1.5), r"coef=1\.5"),
        (lambda: DiscountByLikelihoodRank(coef=True), "coef=True"),
        (lambda: DiscountByLikelihoodRank(coef=math.nan), "coef=nan"),
        (lambda: DiscountByLikelihoodRank(coef="a"), "coef='a'"),
        (lambda: DiscountByLikelihoodRank(among="wrong"), "Allowed: all, correct"),
        (lambda: ReweightByConfidence(coef=-0.1), r"coef=-0\.1"),
        (lambda: ReweightByConfidence(coef=math.inf), "coef=inf"),
        (lambda: ReweightByConfidence(coef=math.nan), "coef=nan"),
        (lambda: ReweightByConfidence(coef=None), "coef=None"),
        (lambda: ReweightByConfidence(below=0.9), "fraction: null"),
        (lambda: ReweightByConfidence(fraction=None), "write one of them"),
        (lambda: ReweightByConfidence(fraction=0), "fraction=0"),
        (lambda: ReweightByConfidence(fraction=True), "fraction=True"),
        (lambda: ReweightByConfidence(fraction=None, below=1.5), r"below=1\.5"),
        (lambda: ReweightByConfidence(correct_only=1), "correct_only=1"),
        (lambda: ReweightByConfidence(on_all_correct="yes"), "on_all_correct='yes'"),
        (lambda: ReweightByConfidence(select_in_prompt=None), "select_in_prompt=None"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(build, words):
    with pytest.raises(ConfigError, match=words):
        build()
