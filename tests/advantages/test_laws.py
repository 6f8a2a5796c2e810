"""Laws that hold for every published chain, whatever the groups: new names in the table are covered by being there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, chain, resolve
from rlkit.advantages.passing import PassAtK, Pkpo
from rlkit.advantages.presets import PRESETS

NAMES = (*PRESETS, "pkpo")
every_name = pytest.mark.parametrize("name", NAMES)
seeds = st.integers(0, 2**32 - 1)


def build_context(rewards_PG: np.ndarray, rng: np.random.Generator) -> GroupContext:
    """Return every field for these rewards at random, without the ties that only the index could break.

    Likelihoods are all distinct, and the first answer of the majority is given by more than half of each group.
    """
    shape = num_prompts, size = rewards_PG.shape
    lengths_PG = rng.integers(1, 6, shape)
    logps_PGT = -rng.exponential(size=(*shape, 5))
    logps_PGT[np.arange(5) >= lengths_PG[:, :, None]] = np.nan
    equivalent_PGG = rng.random((*shape, size)) < 0.3
    answers_PG = rng.permuted(np.where(np.arange(size) <= size // 2, 0, rng.integers(-1, 3, shape)), axis=1)
    counts_P4 = rng.integers(0, 9, (num_prompts, 4)).astype(float)
    counts_P4[:, -1] = np.nan  # answer -1 is no answer
    return GroupContext(
        rewards_PGK=rewards_PG[:, :, None],
        correct_PG=np.where(np.isnan(rewards_PG), np.nan, rewards_PG > 0.5),
        scored_PG=~np.isnan(rewards_PG),
        labels_PG=rng.integers(0, 3, shape),
        equivalent_PGG=equivalent_PGG | equivalent_PGG.transpose(0, 2, 1) | np.eye(size, dtype=bool),
        answers_PG=answers_PG,
        answer_counts_PG=np.take_along_axis(counts_P4, answers_PG, axis=1),
        embeddings_PGE=rng.normal(size=(*shape, 3)),
        lengths_PG=lengths_PG,
        pass_counts_P2=np.sort(rng.integers(0, 9, (num_prompts, 2)), axis=1),
        mean_logps_PG=np.nanmean(logps_PGT, axis=2),
        ref_mean_logps_PG=-rng.exponential(size=shape),
        logps_PGT=logps_PGT,
        prompt_logps_PS=-rng.exponential(size=(num_prompts, 7)),
        step=3,
    )


def build_groups(seed: int, num_prompts: int = 3) -> tuple[np.ndarray, GroupContext]:
    """Return binary rewards of groups of 5 to 8, at most one completion of each unscored, and their context."""
    rng = np.random.default_rng(seed)
    rewards_PG = rng.integers(0, 2, (num_prompts, rng.integers(5, 9))).astype(float)
    rewards_PG[rng.random(num_prompts) < 0.5, 0] = np.nan
    rewards_PG = rng.permuted(rewards_PG, axis=1)
    return rewards_PG, build_context(rewards_PG, rng)


def change_fields(ctx: GroupContext, change: Callable[[str, object], object]) -> GroupContext:
    """Return the context with `change(axes, value)` in place of each field, where axes are letters such as PGT."""
    fields = {field.name: getattr(ctx, field.name) for field in dataclasses.fields(ctx)}
    changed = {
        name: change(name.rpartition("_")[2], value)
        for name, value in fields.items()
        if value is not None and name != "step"
    }
    return dataclasses.replace(ctx, **changed)


def reorder(axes: str, value: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return a field with the completions of every group in another order, along each of its G axes."""
    for axis, letter in enumerate(axes):
        value = np.take(value, order, axis=axis) if letter == "G" else value
    return value


def copy_fields(ctx: GroupContext) -> GroupContext:
    return change_fields(ctx, lambda _, value: value.copy())


@every_name
@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_order_inside_a_group_does_not_matter(name, seed):
    rewards_PG, ctx = build_groups(seed)
    order = np.random.default_rng(seed + 1).permutation(rewards_PG.shape[1])
    straight = resolve(name)(rewards_PG, ctx)
    shuffled = resolve(name)(rewards_PG[:, order], change_fields(ctx, lambda axes, value: reorder(axes, value, order)))
    np.testing.assert_allclose(shuffled, straight[:, order], atol=1e-9)


@every_name
@settings(max_examples=30, deadline=None)
@given(seeds)
def test_groups_do_not_see_each_other(name, seed):
    rewards_PG, ctx = build_groups(seed)
    together = resolve(name)(rewards_PG, ctx)
    for p in range(len(rewards_PG)):
        alone = resolve(name)(rewards_PG[p : p + 1], change_fields(ctx, lambda _, value, p=p: value[p : p + 1]))
        np.testing.assert_allclose(alone[0], together[p], atol=1e-9)


@every_name
@settings(max_examples=20, deadline=None)
@given(seeds)
def test_numpy_and_torch_give_the_same_and_neither_is_written_to(name, seed):
    rewards_PG, ctx = build_groups(seed)
    kept_PG, kept_ctx = rewards_PG.copy(), copy_fields(ctx)
    from_numpy = resolve(name)(rewards_PG, ctx)
    tensors = change_fields(copy_fields(ctx), lambda _, value: torch.as_tensor(value))
    values_PG = torch.tensor(rewards_PG)
    from_torch = resolve(name)(values_PG, tensors)
    np.testing.assert_array_equal(from_torch.numpy(), from_numpy)
    np.testing.assert_array_equal(rewards_PG, kept_PG)
    np.testing.assert_array_equal(values_PG.numpy(), kept_PG)
    for field in dataclasses.fields(ctx):
        for after in (ctx, tensors):
            np.testing.assert_array_equal(getattr(after, field.name), getattr(kept_ctx, field.name), field.name)


def ask_for_gradients(_: str, value: np.ndarray) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def test_no_field_of_the_context_carries_gradients_into_advantages():
    rewards_PG, ctx = build_groups(7)
    ctx = change_fields(ctx, ask_for_gradients)
    values_PG = torch.tensor(rewards_PG)
    assert [name for name in NAMES if resolve(name)(values_PG, ctx).requires_grad] == []


def test_rewards_carry_no_gradients_into_advantages():
    rewards_PG, ctx = build_groups(7)
    values_PG = torch.tensor(rewards_PG, requires_grad=True)
    assert [name for name in NAMES if resolve(name)(values_PG, ctx).requires_grad] == []


@every_name
@settings(max_examples=20, deadline=None)
@given(seeds)
def test_what_carries_no_signal_is_nan_and_the_rest_is_finite(name, seed):
    rewards_PG, ctx = build_groups(seed)
    np.testing.assert_array_equal(np.isnan(resolve(name)(rewards_PG, ctx)), np.isnan(rewards_PG))


CENTRED = [
    "grpo",
    "dr_grpo",
    "rloo",
    "max_rl",
    "ucpo",
    "equal_solutions",
    "bbg",
    "flow_rl",
    "pro_grpo",
    "passk_grpo",
    "pkpo",
    "outcome_ucb",
    "outcome_batch",
    "dqo",
    "rep_exp",
    "elliptical",
]
"""Chains that look at differences of rewards only; those that multiply rewards, or replace them, are not among them."""


@pytest.mark.parametrize("name", CENTRED)
@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([-2.5, 0.1, 40.0]))
def test_a_constant_added_to_all_rewards_changes_nothing(name, seed, constant):
    rewards_PG, ctx = build_groups(seed)
    shifted = resolve(name)(rewards_PG + constant, ctx)
    np.testing.assert_allclose(shifted, resolve(name)(rewards_PG, ctx), atol=1e-7)


def test_a_constant_matters_where_rewards_are_multiplied():
    rewards_PG, ctx = build_groups(3)
    for name in ("darling", "dra_grpo", "unlikeliness"):
        assert np.nanmax(np.abs(resolve(name)(rewards_PG + 1, ctx) - resolve(name)(rewards_PG, ctx))) > 0.01, name


SUM_TO_ZERO = ["grpo", "dr_grpo", "rloo", "darling", "passk_grpo", "unlikeliness", "evol_rl", "ttrl"]
SUM_TO_ZERO += ["dra_grpo", "dqo", "rep_exp", "elliptical", "max_rl", "ucpo", "equal_solutions", "flow_rl"]


@pytest.mark.parametrize("name", SUM_TO_ZERO)
@settings(max_examples=20, deadline=None)
@given(seeds)
def test_baselines_make_groups_sum_to_zero(name, seed):
    rewards_PG, ctx = build_groups(seed)
    np.testing.assert_allclose(np.nansum(resolve(name)(rewards_PG, ctx), axis=1), 0, atol=1e-9)


binary_groups = st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(binary_groups)
def test_pass_at_one_is_grpo_with_ddof_0(rewards):
    values = np.array([rewards])
    grpo = resolve({"name": "grpo", "ddof": 0, "eps": 1e-6})(values)
    np.testing.assert_allclose(PassAtK(k=1)(values), grpo, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3, 3) | st.just(math.nan), min_size=2, max_size=9))
def test_plain_pkpo_at_one_is_the_reward_over_n_and_its_loo_is_reinforce_with_a_baseline(rewards):
    values = np.array([rewards])
    scored = ~np.isnan(values)
    np.testing.assert_allclose(Pkpo(1, "plain")(values), values / max(scored.sum(), 1), atol=1e-12)
    if scored.sum() >= 2:
        others = (np.nansum(values) - values) / (scored.sum() - 1)
        expected = values / scored.sum() - others / (scored.sum() - 1)
        np.testing.assert_allclose(Pkpo(1, "loo")(values), expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(binary_groups)
def test_w_reinforce_lies_between_nsr_and_reinforce(rewards):
    values = np.array([rewards])
    weak, full, nsr, psr = (
        resolve(spec)(values)
        for spec in ({"name": "w_reinforce", "positive": 0.0}, {"name": "w_reinforce", "positive": 1.0}, "nsr", "psr")
    )
    np.testing.assert_array_equal(weak, nsr)
    np.testing.assert_array_equal(full, 2 * values - 1)
    np.testing.assert_allclose(resolve("w_reinforce")(values), 0.1 * psr + nsr)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_terms_of_weight_zero_leave_the_chain_they_are_added_to(seed):
    rewards_PG, ctx = build_groups(seed)
    for name, plain in [
        ("pro_grpo", {"name": "grpo", "eps": 1e-6}),
        ("unlikeliness", {"name": "grpo", "eps": 1e-6}),
        ("outcome_ucb", "grpo"),
        ("outcome_batch", "grpo"),
        ("dqo", "dr_grpo"),
        ("rep_exp", {"name": "grpo", "eps": 1e-6}),
        ("elliptical", "grpo"),
    ]:
        ours = resolve({"name": name, "coef": 0.0})(rewards_PG, ctx)
        np.testing.assert_allclose(ours, resolve(plain)(rewards_PG, ctx), atol=1e-9, err_msg=name)
    for spec, plain in [
        ({"name": "ucpo", "tau": 0.0}, {"name": "grpo", "eps": 1e-8}),
        ({"name": "ucpo", "tau": 0.0, "form": "additive"}, {"name": "grpo", "eps": 1e-8}),
        ({"name": "equal_solutions", "power": 0.0}, "grpo"),
    ]:
        np.testing.assert_allclose(
            resolve(spec)(rewards_PG, ctx), resolve(plain)(rewards_PG, ctx), atol=1e-9, err_msg=str(spec)
        )


@every_name
def test_what_a_chain_says_it_needs_is_all_it_needs(name):
    rewards_PG, ctx = build_groups(11)
    algorithm = chain(name)
    needed = GroupContext(**{field: getattr(ctx, field) for field in algorithm.needs})
    np.testing.assert_array_equal(algorithm(rewards_PG, needed), algorithm(rewards_PG, ctx))
