"""Who draws the rollouts: frozen, averaged and renewed weights, the ratios against them, and where they are kept."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from rlkit.errors import ConfigError, StoreError
from rlkit.objective.references import Ema, Initial, Reset, resolve_sampler
from rlkit.trainers.sampler import FILE
from tests.trainers.test_grpo import build_trainer, count_fours
from tests.trainers.tiny import build_model

FAST = {"learning_rate": 0.02, "lr_scheduler_type": "constant", "advantage": "grpo", "max_steps": 4}


def flatten(model):
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


class Watch(TrainerCallback):
    """Notes the policy after every step, and what was drawn before it."""

    def __init__(self, trainer):
        self.trainer, self.policy, self.sampler, self.drawn = trainer, [], [], []
        generate = trainer._generate

        def watched(prompts):
            generated = generate(prompts)
            self.drawn.append(generated[1])
            return generated

        trainer._generate = watched

    def on_step_end(self, args, state, control, **_):
        self.policy.append(flatten(self.trainer.model))
        if self.trainer.sampler is not None:
            self.sampler.append(torch.cat([weight.flatten() for weight in self.trainer.sampler._weights.values()]))


def watch(tmp_path, **changes):
    given = changes.pop("given", None)
    trainer = build_trainer(tmp_path, count_fours, given, **FAST | changes)
    trainer.add_callback(seen := Watch(trainer))
    start = flatten(trainer.model)
    torch.manual_seed(11)
    trainer.train()
    return start, seen, trainer


@pytest.mark.parametrize("fast_path", [True, False])
def test_what_a_frozen_sampler_draws_is_what_the_initial_model_draws(tmp_path, fast_path):
    start, still, _ = watch(tmp_path, learning_rate=0.0)
    _, frozen, trainer = watch(tmp_path, sampler="frozen", fast_path=fast_path)
    _, moved, _ = watch(tmp_path, sampler="policy")
    assert not torch.equal(frozen.policy[-1], start)
    assert frozen.drawn == still.drawn
    assert moved.drawn[0] == still.drawn[0]
    assert moved.drawn[-1] != still.drawn[-1]
    assert all(torch.equal(sampler, start) for sampler in frozen.sampler)
    lags = [entry["sampler/kl"] for entry in trainer.state.log_history[:4] if "sampler/kl" in entry]
    assert (lags[0] == pytest.approx(0, abs=1e-6) and lags[-1] > 1e-3) if fast_path else not lags


def test_with_the_policy_as_sampler_nothing_changes(tmp_path):
    _, without, _ = watch(tmp_path)
    _, named, trainer = watch(tmp_path, sampler="policy")
    assert torch.equal(named.policy[-1], without.policy[-1])
    assert trainer.sampler is None


def test_an_average_is_the_recursion(tmp_path):
    start, seen, _ = watch(tmp_path, sampler={"ema": 0.7})
    expected = start
    for policy, sampler in zip(seen.policy, seen.sampler, strict=True):
        expected = 0.7 * expected + 0.3 * policy
        torch.testing.assert_close(sampler, expected, atol=1e-6, rtol=0)


def test_a_copy_is_renewed_on_its_schedule(tmp_path):
    start, seen, _ = watch(tmp_path, sampler={"every": 3})
    assert torch.equal(seen.sampler[1], start)
    assert torch.equal(seen.sampler[2], seen.policy[2])
    assert torch.equal(seen.sampler[3], seen.policy[2])


def fresh_model():
    with torch.random.fork_rng():
        return build_model()


def explain_gradient(trainer, window, sampler):
    """Return the gradient of PPO's clipped surrogate with explicit ratios policy / sampler, and the mean log ratio."""
    # A copy would go on calling the original: TRL has put its own forward pass into it.
    policy, lags = fresh_model(), []
    policy.load_state_dict(trainer.model.state_dict())
    loss = torch.zeros(())
    tokens = sum(int(rows["completion_mask"].sum()) for rows in window)
    for rows in window:
        for row in range(len(rows["completion_ids"])):
            prompt = rows["prompt_ids"][row][rows["prompt_mask"][row].bool()]
            answer = rows["completion_ids"][row][rows["completion_mask"][row].bool()]
            ids = torch.cat([prompt, answer])[None]
            place = torch.arange(len(prompt) - 1, ids.size(1) - 1)
            logps_T, old_logps_T = (model(ids).logits[0].log_softmax(-1)[place, answer] for model in (policy, sampler))
            ratio_T = (logps_T - old_logps_T.detach()).exp()
            lags.append(ratio_T.log().detach().abs().mean())
            advantage = rows["advantages"][row]
            gain_T = torch.min(ratio_T * advantage, ratio_T.clamp(0.8, 1.2) * advantage)
            loss = loss - gain_T.sum() / tokens
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in policy.parameters()]), torch.stack(lags).mean()


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize("windows", [1, 2])
def test_gradients_are_those_of_explicit_ratios_against_the_sampler(tmp_path, fast_path, windows, monkeypatch):
    batch = {"per_device_train_batch_size": 8 // windows, "gradient_accumulation_steps": windows}
    trainer = build_trainer(
        tmp_path, count_fours, sampler="frozen", fast_path=fast_path, max_grad_norm=0.0, **FAST | batch
    )
    window, expected, found = [], [], []
    prepare = trainer._prepare_inputs

    def keep(inputs):
        rows = prepare(inputs)
        window.append({key: copy.copy(value) for key, value in rows.items()})
        if len(window) == windows:
            expected.append(explain_gradient(trainer, window, fresh_model()))
            window.clear()
        return rows

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **_):
            found.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).clone())

    trainer._prepare_inputs = keep
    trainer.add_callback(Gradients())
    trainer.train()
    assert expected[0][1] < 1e-5
    assert expected[3][1] > 0.05
    for (gradient, _), ours in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, gradient, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("sampler", [{"ema": 0.5}, {"every": 3}, "frozen"], ids=str)
def test_a_run_that_stopped_goes_on_to_the_very_same_end(tmp_path, sampler):
    saved = {"save_strategy": "steps", "save_steps": 2, "sampler": sampler}
    _, whole, _ = watch(tmp_path, **saved)
    assert (tmp_path / "checkpoint-2" / FILE).exists() == (sampler != "frozen")
    trainer = build_trainer(tmp_path, count_fours, **FAST | saved)
    trainer.add_callback(rest := Watch(trainer))
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert rest.drawn == whole.drawn[2:]
    torch.testing.assert_close(rest.policy[-1], whole.policy[-1], atol=1e-7, rtol=0)
    torch.testing.assert_close(rest.sampler[-1], whole.sampler[-1], atol=1e-7, rtol=0)


def test_a_checkpoint_without_the_sampler_says_so(tmp_path):
    trainer = build_trainer(tmp_path, sampler={"ema": 0.5})
    with pytest.raises(StoreError, match="start anew"):
        trainer.sampler.load(tmp_path)


def test_with_an_adapter_only_its_weights_are_kept(tmp_path):
    from peft import LoraConfig

    lora = {"peft_config": LoraConfig(task_type="CAUSAL_LM", r=2, target_modules="all-linear")}
    saved = {"save_strategy": "steps", "save_steps": 4}
    _, still, _ = watch(tmp_path, given=lora, learning_rate=0.0)
    _, frozen, trainer = watch(tmp_path, given=lora, sampler="frozen", **saved)
    assert frozen.drawn == still.drawn
    assert not torch.equal(frozen.policy[-1], still.policy[-1])
    assert all("lora" in name for name in load_file(tmp_path / "checkpoint-4" / FILE))
    assert all(parameter.requires_grad for parameter in trainer.model.parameters() if parameter.grad is not None)


def test_an_evaluation_asks_the_policy(tmp_path):
    _, seen, trainer = watch(tmp_path, sampler="frozen")
    trainer.model.eval()
    with trainer.sampler.drawing(is_training=False):
        assert torch.equal(flatten(trainer.model), seen.policy[-1])
    with trainer.sampler.drawing(is_training=True):
        assert torch.equal(flatten(trainer.model), seen.sampler[-1])
    assert torch.equal(flatten(trainer.model), seen.policy[-1])


def test_names():
    assert resolve_sampler(None) is resolve_sampler("policy") is None
    assert resolve_sampler("frozen") == Initial()
    assert resolve_sampler({"ema": 0.9}) == Ema(0.9)
    assert resolve_sampler({"every": 50}) == Reset(50)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("frozn", "Did you mean 'frozen'"),
        ({"ema": 1.0}, "between 0 and 1"),
        ({"every": 0}, "of at least 1"),
        ({"ema": 0.9, "every": 3}, "write policy, frozen"),
        (["frozen"], "write policy, frozen"),
    ],
    ids=str,
)
def test_other_samplers_are_refused(spec, words):
    with pytest.raises(ConfigError, match=words):
        resolve_sampler(spec)


def test_what_does_not_go_with_a_sampler_is_refused(tmp_path, monkeypatch):
    anchor = {"anchor": {"name": "kl", "estimator": "k1", "coef": 0.3, "where": "reward"}}
    with pytest.raises(ConfigError, match="write where: loss, or sampler: policy"):
        build_trainer(tmp_path, sampler="frozen", advantage="grpo", objective=anchor)
    monkeypatch.setattr("transformers.integrations.is_deepspeed_zero3_enabled", lambda: True)
    with pytest.raises(ConfigError, match="stage 3 cuts up"):
        build_trainer(tmp_path, sampler="frozen", advantage="grpo")
