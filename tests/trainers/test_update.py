"""The fast update against the slow one and against TRL's: same gradients, fewer passes."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rlkit.recipe.fitting import LOSS_TYPES
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]


def frozen(base):
    """Return a trainer class whose rollouts depend on the step and the row only, with a sampler's log-probs."""

    class Frozen(base):
        def _generate(self, prompts):
            rng = random.Random(1000 * self.state.global_step + 17)
            ids = [[rng.choice([4, 7, 22]) for _ in range(rng.randint(0, 5))] + [1] for _ in prompts]
            sampled = [[-rng.random() * 5 for _ in row] for row in ids]
            prompt_ids = [self.processing_class(prompt)["input_ids"] for prompt in prompts]
            texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
            return prompt_ids, ids, None, texts, sampled, {}, None, []

    return Frozen


def long_enough(completions, **_):
    """A verifier under which some groups are all right or all wrong, so that their rows weigh nothing."""
    return [float(len(text.split()) > 2) for text in completions]


class KeepGradients(TrainerCallback):
    """Copies the gradient before every optimizer step."""

    def __init__(self):
        self.gradients = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        parts = [p.grad.flatten() if p.grad is not None else torch.zeros(p.numel()) for p in model.parameters()]
        self.gradients.append(torch.cat(parts).clone())


def train(tmp_path, base, config, reward=long_enough, peft_config=None, as_if_vllm=False, num_rows=16, **changes):
    """Train on frozen rollouts; return gradients before each step, final weights, the log, and the passes made."""
    build_model().save_pretrained(tmp_path / "start")
    settings = {"per_device_train_batch_size": 4, "num_generations": 4, "max_steps": 4, "max_grad_norm": 0.0} | changes
    trainer = frozen(base)(
        model=str(tmp_path / "start"),
        reward_funcs=reward,
        args=config(**training_arguments(str(tmp_path), **settings)),
        train_dataset=build_dataset(num_rows),
        processing_class=build_tokenizer(),
        peft_config=peft_config,
        callbacks=[kept := KeepGradients()],
    )
    trainer.use_vllm = as_if_vllm
    passes, forward = [], trainer._get_per_token_logps_and_entropies

    def count(model, ids, *rest, **named):
        passes.append(ids.shape)
        return forward(model, ids, *rest, **named)

    trainer._get_per_token_logps_and_entropies = count
    torch.manual_seed(3)
    trainer.train()
    weights = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
    return kept.gradients, weights, trainer.state.log_history, passes


def assert_same(one, two, tolerance=1e-5):
    assert len(one[0]) == len(two[0]) == 4
    for first, second in zip(one[0], two[0], strict=True):
        assert first.norm() > 1e-6
        assert (first - second).norm() <= tolerance * first.norm()


SHAPES = {
    "aligned": {"gradient_accumulation_steps": 4},
    "two iterations": {"gradient_accumulation_steps": 4, "num_iterations": 2},
    "several steps a batch": {"gradient_accumulation_steps": 2, "steps_per_generation": 4},
    "several steps, two iterations": {"gradient_accumulation_steps": 2, "steps_per_generation": 4, "num_iterations": 2},
    "two batches a step": {"gradient_accumulation_steps": 4, "steps_per_generation": 2},
}


@pytest.mark.parametrize("num_iterations", [1, 2])
def test_gradients_are_trls_where_windows_and_epochs_end_at_different_places(tmp_path, num_iterations):
    shared = {"steps_per_generation": 3, "gradient_accumulation_steps": 4, "scale_rewards": "group", "num_rows": 6}
    shared |= {"num_iterations": num_iterations, "learning_rate": 0.01, "lr_scheduler_type": "constant"}
    theirs = train(tmp_path, GRPOTrainer, GRPOConfig, **shared)
    fast = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, **shared)
    assert_same(fast, theirs)


def every_combination():
    """Yield the whole grid; what the fast suite leaves out is a variation of what it has."""
    for shape in SHAPES:
        for loss_type in LOSS_TYPES:
            for beta in (0.0, 0.2):
                is_quick = (shape == "aligned" or loss_type == "dapo") and (beta == 0.0) == (loss_type != "dapo")
                yield pytest.param(shape, loss_type, beta, marks=() if is_quick else pytest.mark.slow)


@pytest.mark.parametrize(("shape", "loss_type", "beta"), every_combination())
def test_gradients_are_trls(tmp_path, shape, loss_type, beta):
    settings = {"loss_type": loss_type, "beta": beta, "scale_rewards": "group", "epsilon_high": 0.28, **SHAPES[shape]}
    theirs = train(tmp_path, GRPOTrainer, GRPOConfig, **settings)
    fast = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, **settings)
    assert_same(fast, theirs)
    torch.testing.assert_close(fast[1], theirs[1], atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"as_if_vllm": True},
        {"as_if_vllm": True, "vllm_importance_sampling_mode": "token_truncate", "num_iterations": 2},
        {"as_if_vllm": True, "vllm_importance_sampling_mode": "token_mask", "steps_per_generation": 8},
        {"as_if_vllm": True, "off_policy_mask_threshold": 0.5},
        {"importance_sampling_level": "sequence", "num_iterations": 2},
        {"entropy_coef": 0.01},
        {"use_adaptive_entropy": True, "entropy_coef": 0.01, "entropy_target": 9.0},
        {"top_entropy_quantile": 0.4},
        {"mask_truncated_completions": True},
        {"delta": 1.4, "num_iterations": 2},
        {"beta": 0.2, "use_bias_correction_kl": True, "num_iterations": 2},
        {"max_tokens_per_microbatch": 12},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_gradients_are_trls_with_what_trl_adds(tmp_path, settings):
    shared = {"gradient_accumulation_steps": 4, "scale_rewards": "group"} | settings
    only_ours = (
        {"max_tokens_per_microbatch": shared.pop("max_tokens_per_microbatch")}
        if "max_tokens_per_microbatch" in shared
        else {}
    )
    theirs = train(tmp_path, GRPOTrainer, GRPOConfig, **shared)
    fast = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, **shared, **only_ours)
    assert_same(fast, theirs)
    for ours, reference in zip(fast[2][:4], theirs[2][:4], strict=True):
        for key in {"loss", "reward", "entropy_coef", "learning_rate"} & reference.keys():
            assert ours[key] == pytest.approx(reference[key], rel=1e-3, abs=1e-6), key


OBJECTIVES = {
    "steer": {"objective": "steer"},
    "kl_cov": {"objective": "kl_cov", "num_iterations": 2},
    "anchor": {"objective": {"anchor": {"name": "js", "coef": 0.2}}},
    "anchor on mastered prompts": {
        "objective": {"anchor": {"name": "k2", "coef": 0.3, "only": "mastered", "mastered_above": 0.7}}
    },
    "anchor in the reward": {
        "objective": {"anchor": {"name": "kl", "estimator": "k1", "coef": 0.3, "where": "reward"}}
    },
    "anchor that grows from nothing": {
        "objective": {
            "anchor": {
                "name": "k2",
                "coef": {"name": "linear", "start": 0.0, "end": 0.5, "steps": 3},
                "importance_corrected": True,
            }
        },
        "num_iterations": 2,
    },
    "moving anchor": {
        "objective": {
            "anchor": {
                "name": "k2",
                "coef": {"name": "target_kl", "target": 0.01, "start": 0.3},
                "reference": {"name": "ema", "decay": 0.5},
            }
        }
    },
    "rehearsal": {
        "objective": {"rehearsal": {"coef": 0.5, "mastered_above": 0.1, "num_prompts": 4, "rows_per_step": 4}}
    },
    "facts": {"advantage": "pro_grpo"},
    "negative only": {"advantage": "nsr"},
}


@pytest.mark.parametrize("settings", OBJECTIVES.values(), ids=OBJECTIVES)
@pytest.mark.parametrize("shape", ["aligned", pytest.param("several steps a batch", marks=pytest.mark.slow)])
def test_gradients_are_those_of_the_slow_path(tmp_path, settings, shape):
    changes = {"advantage": "grpo"} | SHAPES[shape] | settings
    slow = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, fast_path=False, **changes)
    fast = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, **changes)
    assert_same(fast, slow)
    torch.testing.assert_close(fast[1], slow[1], atol=2e-5, rtol=0)


def test_rows_that_weigh_nothing_are_not_forwarded(tmp_path):
    changes = {"gradient_accumulation_steps": 4, "scale_rewards": "group", "as_if_vllm": True}
    theirs = train(tmp_path, GRPOTrainer, GRPOConfig, **changes)
    fast = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, **changes)
    forwarded = [entry["update/forwarded"] for entry in fast[2][:4]]
    assert 0 < sum(forwarded) / 4 < 1
    rows = sum(rows for rows, _ in fast[3])
    # Once each, where TRL takes every row twice: once for the old log-probs, once for the loss.
    assert rows == pytest.approx(16 * sum(forwarded))
    assert sum(rows for rows, _ in theirs[3]) == 2 * 16 * 4
    assert max(rows * tokens for rows, tokens in fast[3]) <= max(rows * tokens for rows, tokens in theirs[3])


def test_a_step_without_any_signal_that_is_skipped_moves_nothing_and_is_counted(tmp_path):
    shared = {"gradient_accumulation_steps": 4, "skip_steps_without_signal": True}
    seen = iter([long_enough] + [lambda completions, **_: [1.0] * len(completions)] * 9)

    def fading(completions, **columns):
        return next(seen)(completions, **columns)

    _, weights, _, _ = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, reward=fading, max_steps=1, **shared)
    seen = iter([long_enough] + [lambda completions, **_: [1.0] * len(completions)] * 9)
    _, later, log, _ = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, reward=fading, max_steps=3, **shared)
    assert torch.equal(weights, later)
    assert [entry.get("update/skipped_steps", 0.0) for entry in log[:3]] == [0.0, 1.0, 1.0]
    assert [entry["loss"] for entry in log[1:3]] == [0.0, 0.0]


def test_with_lora_gradients_are_trls(tmp_path):
    from peft import LoraConfig

    changes = {"gradient_accumulation_steps": 4, "scale_rewards": "group", "beta": 0.1, "max_steps": 4}
    runs = []
    for base, config in ((GRPOTrainer, GRPOConfig), (DiverseGRPOTrainer, DiverseGRPOConfig)):
        torch.manual_seed(5)
        lora = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules="all-linear", init_lora_weights=False)
        runs.append(train(tmp_path, base, config, peft_config=lora, **changes))
    assert_same(*runs)


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("loss_type", [*LOSS_TYPES, "luspo"])
def test_every_number_that_trl_logs_is_there_and_the_same(tmp_path, loss_type, level):
    shared = {"loss_type": loss_type, "num_iterations": 2, "beta": 0.2, "entropy_coef": 0.01, "epsilon_high": 1.0}
    shared |= {"importance_sampling_level": level, "learning_rate": 0.002, "scale_rewards": "group"}
    theirs = train(tmp_path, GRPOTrainer, GRPOConfig, **shared)
    fast = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, **shared)
    for ours, reference in zip(fast[2][:4], theirs[2][:4], strict=True):
        assert reference.keys() <= ours.keys()
        for key in reference.keys() - {"step_time"}:
            assert ours[key] == pytest.approx(reference[key], rel=1e-3, abs=1e-5), key


@pytest.mark.parametrize("loss_type", ["dapo", "cispo", "grpo"])
@pytest.mark.parametrize("fast_path", [False, True])
def test_the_policy_loss_beside_an_entropy_bonus_is_logged_as_trls(tmp_path, loss_type, fast_path):
    shared = {"loss_type": loss_type, "beta": 0.2, "entropy_coef": 0.01, "gradient_accumulation_steps": 4}
    shared |= {"scale_rewards": "group"}
    theirs = train(tmp_path, GRPOTrainer, GRPOConfig, **shared)
    ours = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, fast_path=fast_path, **shared)
    for mine, reference in zip(ours[2][:4], theirs[2][:4], strict=True):
        assert mine["policy_loss"] == pytest.approx(reference["policy_loss"], rel=1e-3, abs=1e-6)


def test_under_the_scaler_of_fp16_a_step_without_any_signal_goes_through(tmp_path, monkeypatch):
    create = DiverseGRPOTrainer.create_optimizer

    def scale(trainer, *args, **kwargs):
        # What accelerate builds for fp16, which it refuses to on a CPU.
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu")
        return create(trainer, *args, **kwargs)

    monkeypatch.setattr(DiverseGRPOTrainer, "create_optimizer", scale)
    silent = lambda completions, **_: [1.0] * len(completions)  # noqa: E731
    gradients, _, log, _ = train(tmp_path, DiverseGRPOTrainer, DiverseGRPOConfig, reward=silent, max_steps=2)
    assert [gradient.abs().max().item() for gradient in gradients] == [0.0, 0.0]
    assert [entry["update/forwarded"] for entry in log[:2]] == [0.0, 0.0]
