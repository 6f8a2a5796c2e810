"""The reference follows the policy as it is told to."""

from __future__ import annotations

import pytest
import torch
from transformers import TrainerCallback

from rlkit.errors import ConfigError
from tests.trainers.test_grpo import build_trainer, count_fours


def flatten(model):
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


class Watch(TrainerCallback):
    """Notes policy and reference after every step, once the anchor has moved."""

    def __init__(self, trainer):
        self.trainer, self.policy, self.reference = trainer, [], []

    def on_step_end(self, args, state, control, **_):
        self.policy.append(flatten(self.trainer.model))
        self.reference.append(flatten(self.trainer.ref_model))


def watch(tmp_path, reference, steps=4, **changes):
    objective = {"anchor": {"name": "k2", "coef": 0.1, "reference": reference}}
    trainer = build_trainer(
        tmp_path, changes.pop("reward", count_fours), objective=objective, max_steps=steps, **changes
    )
    start = flatten(trainer.model)
    trainer.add_callback(seen := Watch(trainer))
    trainer.train()
    assert not torch.equal(seen.policy[-1], start)
    return start, seen, trainer


def test_initial_never_moves(tmp_path):
    start, seen, _ = watch(tmp_path, "initial")
    assert all(torch.equal(reference, start) for reference in seen.reference)


def test_ema_is_the_recursion(tmp_path):
    start, seen, _ = watch(tmp_path, {"name": "ema", "decay": 0.7, "every": 2})
    expected = start
    for step, (policy, reference) in enumerate(zip(seen.policy, seen.reference, strict=True), start=1):
        expected = 0.7 * expected + 0.3 * policy if step % 2 == 0 else expected
        torch.testing.assert_close(reference, expected, atol=1e-6, rtol=0)


def test_reset_on_a_schedule_copies_the_policy_and_clears_the_optimizer(tmp_path):
    start, seen, trainer = watch(tmp_path, {"name": "reset", "every": 3, "reset_optimizer": True})
    assert torch.equal(seen.reference[0], start)
    assert torch.equal(seen.reference[2], seen.policy[2])
    assert torch.equal(seen.reference[3], seen.policy[2])
    assert trainer.reference.num_resets == 1
    moments = next(iter(trainer.optimizer.state.values()))
    assert moments["step"] == 1  # of 4 steps: counted anew after the reset


def test_reset_on_a_stall(tmp_path):
    rewards = iter([0.1, 0.5, 0.5, 0.4, 0.6])

    def fading(completions, **_):
        return [next(rewards)] * len(completions)

    _, seen, trainer = watch(tmp_path, {"name": "reset", "patience": 2}, steps=5, reward=fading, entropy_coef=0.1)
    assert trainer.reference.num_resets == 1
    assert torch.equal(seen.reference[3], seen.policy[3])
    assert not torch.equal(seen.reference[2], seen.policy[2])
    assert [entry.get("anchor/resets") for entry in trainer.state.log_history[:5]].count(1.0) == 1


def test_adapter_off_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="write initial"):
        build_trainer(tmp_path, objective={"anchor": {"name": "k2", "reference": "adapter_off"}})


def test_a_moving_reference_with_an_adapter_is_refused(tmp_path):
    from peft import LoraConfig

    from rlkit.trainers import DiverseGRPOTrainer

    plain = build_trainer(tmp_path, objective={"anchor": {"name": "k2", "reference": "ema"}})
    with pytest.raises(ConfigError, match="write adapter_off"):
        DiverseGRPOTrainer(
            model=str(tmp_path / "start"),
            reward_funcs=count_fours,
            args=plain.args,
            train_dataset=plain.train_dataset,
            processing_class=plain.processing_class,
            peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"),
        )
