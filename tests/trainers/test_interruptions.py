"""What goes wrong on the way leaves the trainer, its settings and its memory as they were; evaluations do too."""

from __future__ import annotations

import copy

import pytest
import torch

from rlkit.errors import RewardError
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.test_grpo import build_trainer, count_fours
from tests.trainers.tiny import build_dataset, build_tokenizer, training_arguments

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]


class Outage(Exception):
    """A judge that is not there."""


def failing_once(at):
    """Return a reward whose call number `at` fails."""
    calls = []

    def judge(completions, **columns):
        calls.append(len(completions))
        if len(calls) == at:
            raise Outage
        return count_fours(completions)

    return judge


def test_training_that_failed_within_a_step_starts_again_with_whole_steps(tmp_path, monkeypatch):
    changes = {"gradient_accumulation_steps": 3, "steps_per_generation": 1, "advantage": "grpo"}
    trainer = build_trainer(tmp_path, failing_once(at=3), **changes)
    with pytest.raises(RewardError, match="Outage"):
        trainer.train()
    sizes, run = [], trainer.update.run
    monkeypatch.setattr(trainer.update, "run", lambda model, window: sizes.append(len(window)) or run(model, window))
    trainer.train()
    assert sizes == [3, 3]


def test_training_that_failed_within_a_batch_samples_anew(tmp_path):
    changes = {"gradient_accumulation_steps": 1, "steps_per_generation": 2, "advantage": "grpo"}
    trainer = build_trainer(tmp_path, count_fours, **changes)
    step = trainer.training_step

    def fail(*args):
        step(*args)
        raise Outage

    trainer.training_step = fail
    with pytest.raises(Outage):
        trainer.train()
    trainer.training_step, left = step, trainer._buffered_inputs
    trainer.train()
    assert trainer._buffered_inputs is not left
    assert trainer._step == 2


def test_a_reward_that_fails_leaves_trls_settings_and_methods_alone(tmp_path):
    trainer = build_trainer(tmp_path, failing_once(at=1), beta=0.1)
    before = {key: vars(trainer)[key] for key in ("beta", "vllm_importance_sampling_correction")}
    with pytest.raises(RewardError, match="Outage"):
        trainer.train()
    assert {key: vars(trainer)[key] for key in before} == before
    assert "_get_per_token_logps_and_entropies" not in vars(trainer)


def test_a_trainer_that_cannot_be_built_leaves_its_settings_alone(tmp_path):
    args = DiverseGRPOConfig(**training_arguments(str(tmp_path), beta=0.04))
    with pytest.raises(OSError, match="nowhere"):
        DiverseGRPOTrainer(
            model=str(tmp_path / "nowhere"),
            reward_funcs=count_fours,
            args=args,
            train_dataset=build_dataset(),
            processing_class=build_tokenizer(),
        )
    assert args.beta == 0.04


def evaluate_often(tmp_path, **changes):
    settings = {"per_device_train_batch_size": 4, "eval_strategy": "steps", "eval_steps": 1} | changes
    return build_trainer(tmp_path, count_fours, per_device_eval_batch_size=8, **settings)


def test_an_evaluation_may_score_more_rows_than_a_generation_batch(tmp_path):
    trainer = evaluate_often(tmp_path, advantage="grpo")
    trainer.train()
    assert len([entry for entry in trainer.state.log_history if "eval_reward" in entry]) == 2


def test_an_evaluation_within_a_batch_does_not_count_the_batch(tmp_path):
    trainer = evaluate_often(tmp_path, advantage="outcome_ucb", steps_per_generation=4, max_steps=1)
    seen = []
    evaluate = trainer.evaluate

    def watch(*args, **kwargs):
        before = copy.deepcopy(trainer.memory.answer_counts.to_json())
        metrics = evaluate(*args, **kwargs)
        seen.append((before, trainer.memory.answer_counts.to_json()))
        return metrics

    trainer.evaluate = watch
    trainer.train()
    assert seen == [({}, {})]


def test_an_anchor_that_holds_no_token_says_nothing_to_its_coefficient(tmp_path):
    coefficient = {"name": "target_kl", "target": 0.01, "start": 0.3}
    anchor = {"name": "k2", "coef": coefficient, "only": "mastered", "mastered_above": 1.0}
    trainer = build_trainer(
        tmp_path, lambda completions, **_: [i % 2 for i in range(len(completions))], objective={"anchor": anchor}
    )
    trainer.train()
    assert trainer.memory.anchor_coef == 0.3
    assert trainer.state.log_history[0]["kl"] is None


@pytest.mark.parametrize("entropy_coef", [0.0, 0.1])
def test_rehearsal_goes_on_where_every_completion_is_cut_and_masked(tmp_path, entropy_coef, monkeypatch):
    def generate(self, prompts):
        # When the rehearsal is drawn every second one ends by itself, later none does.
        ids = [[5, 6, 1] if index % 2 and not drawn else [5, 6] for index in range(len(prompts))]
        drawn.append(len(prompts))
        prompt_ids = [self.processing_class(prompt)["input_ids"] for prompt in prompts]
        texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        return prompt_ids, ids, None, texts, None, {}, None, []

    drawn: list[int] = []
    monkeypatch.setattr(DiverseGRPOTrainer, "_generate", generate)
    rehearsal = {"coef": 0.5, "mastered_above": 0.1, "num_prompts": 2, "rows_per_step": 4}
    trainer = build_trainer(
        tmp_path,
        lambda completions, **_: [1.0] * len(completions),
        objective={"rehearsal": rehearsal},
        mask_truncated_completions=True,
        entropy_coef=entropy_coef,
    )
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["update/forwarded"] == 0.0
    assert torch.isfinite(torch.tensor(log["rehearsal/divergence"]))
