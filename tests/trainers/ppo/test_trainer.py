"""The PPO trainer in one process: what it learns from, what it leaves alone, what it keeps."""

from __future__ import annotations

import math

import pytest
import torch
from peft import LoraConfig

from rlkit.errors import ConfigError
from rlkit.returns import gae
from rlkit.trainers import DiverseGRPOConfig, DiversePPOTrainer
from rlkit.trainers.loss import token_mask
from tests.trainers.ppo.runs import FrozenPPO, build, earn, flatten, read_critic
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments

CRITIC = {"kind": "shared", "learning_rate": 0.05, "epochs": 2, "minibatches": 2}


class Watched(FrozenPPO):
    """Keeps what each generation batch came to."""

    def compute_advantages(self, batch):
        values_BT, after_B = self.critic.values(batch.rows)
        advantages_BT = super().compute_advantages(batch)
        kept = {"values": values_BT, "after": after_B, "advantages": advantages_BT, "rows": dict(batch.rows)}
        kept |= {"groups": batch.groups, "truncated": batch.features.truncated_B}
        self.__dict__.setdefault("batches", []).append(kept)
        return advantages_BT


def train(trainer, resume=None):
    torch.manual_seed(7)
    trainer.train(resume_from_checkpoint=resume)
    return flatten(trainer.model.parameters())


def test_advantages_are_those_of_gae_over_the_critics_values(tmp_path):
    trainer = build(tmp_path, trainer=Watched, critic=CRITIC, whiten_advantages=False, lambda_policy=0.9)
    train(trainer)
    assert trainer.batches[2]["values"].abs().max() > 0, "the critic has learnt something by then"
    for batch in trainer.batches:
        mask_BT, rewards_B = token_mask(batch["rows"]), batch["groups"].summed_rewards_PG.flatten().float()
        for row, length in enumerate(mask_BT.sum(dim=1).tolist()):
            values, following = batch["values"][row, :length].tolist(), 0.0
            expected = []
            for place in reversed(range(length)):
                reward = rewards_B[row].item() if place == length - 1 else 0.0
                after = values[place + 1] if place < length - 1 else 0.0
                following = reward + after - values[place] + 0.9 * following
                expected.insert(0, following)
            assert batch["advantages"][row, :length].tolist() == pytest.approx(expected, abs=1e-5)
            assert (batch["advantages"][row, length:] == 0).all()


def test_whitened_advantages_have_mean_0_and_variance_1_over_tokens(tmp_path):
    trainer = build(tmp_path, trainer=Watched, critic=CRITIC)
    train(trainer)
    for batch in trainer.batches:
        counted = batch["advantages"][token_mask(batch["rows"]) != 0]
        assert counted.mean().item() == pytest.approx(0, abs=1e-5)
        assert counted.std().item() == pytest.approx(1, abs=1e-3)


def test_only_completions_that_ran_out_of_room_are_bootstrapped(tmp_path):
    trainer = build(
        tmp_path, trainer=Watched, critic=CRITIC, whiten_advantages=False, bootstrap_truncated=True, lambda_policy=1.0
    )
    train(trainer)
    batch = trainer.batches[2]
    assert batch["truncated"] == [row % 3 == 2 for row in range(8)]
    mask_BT, rewards_B = token_mask(batch["rows"]), batch["groups"].summed_rewards_PG.flatten().float()
    more_B = torch.where(torch.tensor(batch["truncated"]), batch["after"], 0.0)
    assert (batch["after"] != 0).all()
    expected_B = rewards_B + more_B - batch["values"][:, 0]
    torch.testing.assert_close(batch["advantages"][:, 0], expected_B, atol=1e-5, rtol=0)
    assert mask_BT.sum() > 0


def test_fast_and_slow_path_learn_the_same(tmp_path):
    build_model().save_pretrained(tmp_path / "start")
    # Plain gradient steps: Adam would blow the rounding of a small gradient up to a whole step.
    parts = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "optim": "sgd", "learning_rate": 0.1}
    given = {"critic": CRITIC, "positive_nll_coef": 0.1, "beta": 0.05, "model": str(tmp_path / "start")} | parts
    fast, slow = (build(tmp_path / str(path), fast_path=path, **given) for path in (True, False))
    torch.testing.assert_close(train(fast), train(slow), atol=1e-5, rtol=0)
    torch.testing.assert_close(read_critic(fast), read_critic(slow), atol=1e-5, rtol=0)


def test_rows_without_signal_cost_the_policy_nothing_and_still_teach_the_critic(tmp_path):
    trainer = build(tmp_path, trainer=Watched, critic=CRITIC, advantage="nsr")
    before = read_critic(trainer)
    train(trainer)
    for batch, entry in zip(trainer.batches, trainer.state.log_history, strict=False):
        correct_B = batch["groups"].correct_PG.flatten() > 0.5
        assert (batch["advantages"][correct_B] == 0).all()
        assert (batch["advantages"][~correct_B] != 0).any(dim=1).all()
        assert entry["update/forwarded"] == pytest.approx(1 - correct_B.double().mean().item())
        assert 0 < correct_B.sum() < 8
    # All of them right, and the policy is told nothing; the critic learns that they are.
    solved = build(tmp_path / "solved", critic=CRITIC, advantage="nsr", reward=lambda completions, **_: [1.0] * 8)
    policy = flatten(solved.model.parameters())
    assert torch.equal(train(solved), policy)
    assert solved.state.log_history[-2]["critic/value_mean"] > 0
    assert not torch.equal(read_critic(trainer), before)


def test_one_completion_a_prompt_is_enough(tmp_path):
    trainer = build(tmp_path, num_generations=1, critic=CRITIC, trainer=Watched)
    assert trainer.num_generations == trainer.args.num_generations == 1
    before = flatten(trainer.model.parameters())
    assert not torch.equal(train(trainer), before)
    assert trainer.batches[0]["groups"].summed_rewards_PG.shape == (8, 1)


def test_darlings_factor_is_earned_at_the_last_token_or_added_beside_it(tmp_path):
    chain = {
        "advantage": [{"name": "multiply_by_distinctness", "floor": 0.0}],
        "partition": {"name": "ngram_overlap", "n": 1},
    }
    given = chain | {"critic": CRITIC, "whiten_advantages": False, "lambda_policy": 1.0, "max_steps": 1}
    earned, beside = (build(tmp_path / how, trainer=Watched, shaping=how, **given) for how in ("reward", "advantage"))
    train(earned), train(beside)
    groups = earned.batches[0]["groups"]
    shaped_PG = earned.plan.advantage(groups.summed_rewards_PG, groups)
    assert (shaped_PG != groups.summed_rewards_PG).any()
    # The critic begins at 0, so that the first advantage of a completion is all that it earns.
    firsts = [trainer.batches[0]["advantages"][:, 0].double() for trainer in (earned, beside)]
    torch.testing.assert_close(firsts[0], shaped_PG.flatten(), atol=1e-6, rtol=0)
    bonus_PG = shaped_PG - groups.summed_rewards_PG
    bonus_PG = bonus_PG - bonus_PG.mean(dim=1, keepdim=True)
    torch.testing.assert_close(firsts[1], (groups.summed_rewards_PG + bonus_PG).flatten(), atol=1e-6, rtol=0)


def test_a_completion_that_nothing_scored_teaches_neither(tmp_path):
    def sometimes(completions, **_):
        return [None if row == 3 else 1.0 for row in range(len(completions))]

    trainer = build(tmp_path, trainer=Watched, critic=CRITIC, reward=sometimes, max_steps=1, max_error_rate=1.0)
    train(trainer)
    assert (trainer.batches[0]["advantages"][3] == 0).all()
    assert math.isfinite(trainer.state.log_history[0]["critic/loss"])


def test_while_the_critic_warms_up_the_policy_is_bit_identical(tmp_path):
    trainer = build(tmp_path, critic=CRITIC | {"warmup": 3}, weight_decay=0.1)
    policy, critic = flatten(trainer.model.parameters()), read_critic(trainer)
    assert torch.equal(train(trainer), policy)
    assert not torch.equal(read_critic(trainer), critic)
    assert [entry["critic/policy_waits"] for entry in trainer.state.log_history[:3]] == [1.0, 1.0, 1.0]
    later = build(tmp_path, critic=CRITIC | {"warmup": 2}, weight_decay=0.1)
    assert not torch.equal(train(later), policy)
    assert "critic/policy_waits" not in later.state.log_history[2]


def test_the_wait_ends_when_the_critic_foretells_well_enough(tmp_path):
    def constant(completions, **_):
        return [float(row % 2) for row in range(len(completions))]

    critic = CRITIC | {"warmup": {"steps": 3, "until": -10.0}}
    trainer = build(tmp_path, critic=critic, reward=constant)
    policy = flatten(trainer.model.parameters())
    assert not torch.equal(train(trainer), policy)
    waits = [entry.get("critic/policy_waits") for entry in trainer.state.log_history[:3]]
    assert waits == [1.0, None, None], "the first batch says how well, and the step that it is for has begun"


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("kind", ["shared", "separate", "adapter"])
def test_a_continued_run_ends_where_the_unbroken_one_does(tmp_path, kind, step):
    critic = CRITIC | {"kind": kind, "warmup": 2}
    if kind == "separate":
        build_model(1).save_pretrained(tmp_path / "critic")
        build_tokenizer().save_pretrained(tmp_path / "critic")
        critic["path"] = str(tmp_path / "critic")
    peft = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM") if kind == "adapter" else None
    given = {"critic": critic, "max_steps": 4, "save_strategy": "steps", "save_steps": 1, "peft_config": peft}
    whole = build(tmp_path / "whole", **given)
    weights = train(whole)
    other = build(tmp_path / "other", **given)
    continued = train(other, resume=str(tmp_path / "whole" / f"checkpoint-{step}"))
    assert torch.equal(continued, weights)
    assert torch.equal(read_critic(other), read_critic(whole))


def test_the_policys_files_hold_nothing_of_the_critic(tmp_path):
    from transformers import AutoModelForCausalLM

    trainer = build(tmp_path, critic=CRITIC)
    train(trainer)
    trainer.save_model(str(tmp_path / "policy"))
    loaded, told = AutoModelForCausalLM.from_pretrained(tmp_path / "policy", output_loading_info=True)
    assert not told["unexpected_keys"]
    assert not told["missing_keys"]
    assert torch.equal(flatten(loaded.parameters()), flatten(trainer.model.parameters()))


def test_an_adapter_critic_leaves_no_trace_in_the_policy(tmp_path):
    peft = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = build(tmp_path, critic=CRITIC | {"kind": "adapter"}, peft_config=peft, max_steps=1)
    names = [name for name, _ in trainer.model.named_parameters()]
    flags = [parameter.requires_grad for parameter in trainer.model.parameters()]
    train(trainer)
    assert [name for name, _ in trainer.model.named_parameters()] == names
    assert [parameter.requires_grad for parameter in trainer.model.parameters()] == flags
    assert trainer.model.active_adapter == "default"
    trainer.save_model(str(tmp_path / "policy"))
    assert not list((tmp_path / "policy").rglob("*critic*"))
    with pytest.raises(TypeError), trainer.critic.in_place():
        trainer.model(input_ids="no tokens")
    assert [name for name, _ in trainer.model.named_parameters()] == names
    assert [parameter.requires_grad for parameter in trainer.model.parameters()] == flags
    assert trainer.model.active_adapter == "default"


def test_a_critic_saved_alone_is_a_warm_start(tmp_path):
    trainer = build(tmp_path, critic=CRITIC)
    train(trainer)
    trainer.save_critic(tmp_path / "critic")
    warm = build(tmp_path / "warm", critic=CRITIC | {"from": str(tmp_path / "critic")})
    assert torch.equal(read_critic(warm), read_critic(trainer))


def test_the_value_gradient_may_reach_the_backbone(tmp_path):
    apart = build(tmp_path / "apart", critic=CRITIC, max_steps=2)
    through = build(tmp_path / "through", critic=CRITIC | {"backbone_gradient": True}, max_steps=2)
    assert not torch.equal(train(apart), train(through))
    assert through.state.log_history[0]["loss/critic"] > 0


def test_positive_likelihood_is_of_correct_completions_only(tmp_path):
    given = {"critic": CRITIC, "max_steps": 1}
    without, with_term = (build(tmp_path / str(coef), positive_nll_coef=coef, **given) for coef in (0.0, 0.5))
    assert not torch.equal(train(without), train(with_term))
    assert with_term.state.log_history[0]["loss/positive_nll"] > 0
    never = build(tmp_path / "never", positive_nll_coef=0.5, reward=lambda completions, **_: [0.0] * 8, **given)
    assert not math.isnan(train(never).sum().item())


def test_an_anchor_in_the_reward_is_taken_off_tokens(tmp_path):
    anchor = {"anchor": {"name": "kl", "estimator": "k1", "coef": 0.5, "where": "reward"}}
    build_model().save_pretrained(tmp_path / "start")
    given = {"critic": CRITIC, "objective": anchor, "model": str(tmp_path / "start")}
    outside, inside = (build(tmp_path / str(gae_), kl_in_gae=gae_, trainer=Watched, **given) for gae_ in (False, True))
    assert not torch.equal(train(outside), train(inside))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"gamma": 1.5}, "gamma"),
        ({"lambda_policy": -0.1}, "lambda_policy"),
        ({"lambda_value": 2}, "lambda_value"),
        ({"lambda_policy": {"length_adaptive": 0.05}}, "0 up to 20 tokens, and no completion is longer than 6"),
        ({"shaping": "both"}, "shaping"),
        ({"critic": "seperate"}, "separate"),
        ({"critic": {"kind": "separate", "path": "/nowhere/at/all"}}, "/nowhere/at/all"),
        ({"critic": "adapter"}, "peft"),
        ({"advantage": "grpo"}, "critic is the baseline"),
        ({"advantage": "multiply_by_distinctness", "partition": "normalised_text", "num_generations": 1}, "compares"),
        ({"critic": {"kind": "shared", "warmup": -1}}, "warmup"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path, settings, says):
    with pytest.raises(ConfigError, match=says):
        build(tmp_path, **settings)


def test_the_configuration_of_grpo_has_no_critic(tmp_path):
    with pytest.raises(ConfigError, match="DiversePPOConfig"):
        DiversePPOTrainer(
            model=build_model(),
            reward_funcs=earn,
            args=DiverseGRPOConfig(**training_arguments(str(tmp_path))),
            train_dataset=build_dataset(),
            processing_class=build_tokenizer(),
        )


def test_gae_is_what_other_checks_call_it():
    assert gae([[0.0, 1.0]], [[0.5, 0.5]], [[1, 1]], gamma=1.0, lam=1.0).tolist() == [[0.5, 0.5]]
