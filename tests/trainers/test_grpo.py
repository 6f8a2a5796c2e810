"""The trainer against TRL's own: same numbers where we claim parity, the chain's numbers where we replace them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from trl import GRPOConfig, GRPOTrainer

import rlkit
from rlkit.advantages import Transform, resolve
from rlkit.errors import ConfigError, PluginError
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments


def noisy_reward(completions, **columns):
    """Rewards that vary within groups, with some completions not scored."""
    rng = random.Random(len(completions[0]) + len(completions))
    return [None if rng.random() < 0.2 else rng.choice([0.0, 1.0, 1.0, 0.3]) for _ in completions]


def count_fours(completions, **columns):
    return [text.split().count("4") + 0.1 * len(text.split()) for text in completions]


def build_trainer(tmp_path, reward_funcs=noisy_reward, given=None, **changes):
    args = DiverseGRPOConfig(**training_arguments(str(tmp_path), **changes))
    # From a directory, as TRL wants it where a reference has to be loaded.
    build_model().save_pretrained(tmp_path / "start")
    return DiverseGRPOTrainer(
        model=str(tmp_path / "start"),
        reward_funcs=reward_funcs,
        args=args,
        train_dataset=build_dataset(),
        eval_dataset=build_dataset(4),
        processing_class=build_tokenizer(),
        **(given or {}),
    )


def roll_out_with_trl(trainer):
    """Return TRL's own output on one generation batch, and what our override scored and read of it."""
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    trainer.state.global_step = 0
    output = GRPOTrainer._generate_and_score_completions(trainer, batch)
    return output, trainer._describe_batch(output, *trainer._take_scored())


@pytest.mark.parametrize(
    ("chain", "scale_rewards"),
    [
        ({"name": "grpo"}, "group"),
        ({"name": "dr_grpo"}, "none"),
        (["subtract_group_mean", {"name": "divide_by_batch_std", "take": "rewards"}], "batch"),
    ],
)
@pytest.mark.parametrize("rewards", [noisy_reward, count_fours, [noisy_reward, count_fours]])
def test_chains_equal_trls_own_advantages(tmp_path, chain, scale_rewards, rewards):
    trainer = build_trainer(tmp_path, reward_funcs=rewards, advantage=chain, scale_rewards=scale_rewards)
    for _ in range(3):
        output, batch = roll_out_with_trl(trainer)
        theirs, ours = output["advantages"], trainer.compute_advantages(batch)
        assert theirs.abs().max() > 0.1
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def train_weights(trainer):
    torch.manual_seed(7)  # the same completions, however many draws building the trainer took
    trainer.train()
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


@pytest.mark.parametrize("fast_path", [False, True])
def test_without_our_keys_training_is_trls(tmp_path, fast_path):
    arguments = training_arguments(str(tmp_path), scale_rewards="group")
    ours = build_trainer(tmp_path, fast_path=fast_path)
    theirs = GRPOTrainer(
        model=build_model(),
        reward_funcs=noisy_reward,
        args=GRPOConfig(**arguments),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    start = torch.cat([parameter.detach().flatten() for parameter in ours.model.parameters()])
    weights = train_weights(ours)
    assert (weights - start).abs().max() > 1e-4
    if fast_path:
        torch.testing.assert_close(weights, train_weights(theirs), atol=1e-5, rtol=0)
    else:
        assert torch.equal(weights, train_weights(theirs))


def test_grpo_chain_trains_to_trls_weights(tmp_path):
    weights = train_weights(build_trainer(tmp_path, advantage="grpo", partition="normalised_text"))
    torch.testing.assert_close(weights, train_weights(build_trainer(tmp_path)), atol=1e-6, rtol=0)


def test_darling_chain_uses_partition_labels(tmp_path):
    trainer = build_trainer(tmp_path, reward_funcs=count_fours, advantage="darling", partition="normalised_text")
    _, batch = roll_out_with_trl(trainer)
    expected = resolve("darling")(batch.groups.rewards_PGK[:, :, 0], batch.groups)
    np.testing.assert_allclose(trainer.compute_advantages(batch), expected.flatten(), atol=1e-6)


def test_step_metrics_reach_the_log(tmp_path):
    trainer = build_trainer(tmp_path, reward_funcs=count_fours, advantage="darling", partition="normalised_text")
    trainer.train()
    logged = trainer.state.log_history[0]
    assert 1 <= logged["diversity/distinct"] <= 4
    assert 0 <= logged["diversity/pass_at_g"] <= 1
    assert "advantages/no_signal" in logged


def test_unscored_completions_get_no_advantage(tmp_path):
    trainer = build_trainer(tmp_path, reward_funcs=lambda completions, **_: [None] * len(completions), advantage="nsr")
    trainer.reward_func_names = ["nothing"]
    assert (trainer.compute_advantages(roll_out_with_trl(trainer)[1]) == 0).all()


def test_logged_advantages_are_the_chains(tmp_path):
    trainer = build_trainer(tmp_path, reward_funcs=count_fours, advantage="nsr", correct_above=1e9)
    trainer.train()
    assert set(trainer._logs["advantages"]) == {-1.0}


def test_group_rewards_see_whole_groups_and_completion_rewards_see_one(tmp_path):
    seen = []

    @rlkit.group_reward
    def prefer_long(completions, *, prompt, target):
        seen.append((len(completions), prompt, target))
        return [float(len(text.split())) for text in completions]

    @rlkit.reward
    def is_short(completion, target):
        return float(len(completion.split()) < 3)

    trainer = build_trainer(tmp_path, reward_funcs=[prefer_long, is_short], advantage="dr_grpo")
    groups = roll_out_with_trl(trainer)[1].groups
    assert trainer.reward_func_names == ["prefer_long", "is_short"]
    assert [size for size, _, _ in seen] == [4, 4]
    assert all(isinstance(prompt, str) and isinstance(target, int) for _, prompt, target in seen)
    assert groups.rewards_PGK.shape == (2, 4, 2)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"advantage": "darlin"}, PluginError, "darling"),
        ({"partition": "canonical"}, PluginError, "canonical_expression"),
        ({"correct_reward": "other"}, ConfigError, "noisy_reward"),
        ({"correct_reward": 3}, ConfigError, "noisy_reward"),
    ],
)
def test_wrong_names_are_refused_with_a_hint(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        build_trainer(tmp_path, **changes)


def test_infinite_advantages_are_refused(tmp_path):
    class Explode(Transform):
        def apply(self, values_PG, ctx):
            return values_PG / 0

    trainer = build_trainer(tmp_path, reward_funcs=count_fours, advantage=[Explode()])
    _, batch = roll_out_with_trl(trainer)
    with pytest.raises(ConfigError, match="infinite"):
        trainer.compute_advantages(batch)
