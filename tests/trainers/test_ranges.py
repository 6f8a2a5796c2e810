"""Settings out of range are refused in one sentence before a model is loaded; those that do nothing are said."""

from __future__ import annotations

import pytest

from rlkit.cli.kinds import check
from rlkit.errors import ConfigError
from rlkit.recipe import load_recipe
from tests.trainers.archives import write_archive
from tests.trainers.test_grpo import build_trainer


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.temperature=0", "train was given temperature=0.*above 0"),
        ("train.learning_rate=.nan", "learning_rate=nan"),
        ("train.learning_rate=-1", "learning_rate=-1"),
        ("train.max_steps=0", "train.max_steps is 0; write 1 or more"),
        ("train.max_steps=-3", "or -1 for num_train_epochs"),
        ("train.gradient_accumulation_steps=0", "at least 1"),
        ("train.max_completion_length=0", "at least 1"),
        ("train.num_iterations=0", "at least 1"),
        ("train.beta=-0.1", "beta=-0.1"),
        ("train.beta=.inf", "beta=inf"),
        ("train.top_p=1.5", "top_p=1.5"),
        ("train.top_entropy_quantile=0", "top_entropy_quantile=0"),
        ("train.max_tokens_per_microbatch=0", "max_tokens_per_microbatch=0"),
        ("train.correct_above=.nan", "correct_above=nan"),
        ("train.correct_reward=7", "train.correct_reward is 7, but the rewards are"),
        ("train.correct_reward=format", "countdown_reward"),
        ("train.delta=1.1", "inside the clip range; write more than 1.2"),
        ("peft={r: 0}", "peft was given r=0"),
        ("peft={lora_dropout: 1.0}", "lora_dropout=1"),
        ("peft={lora_alpha: 0}", "lora_alpha=0"),
    ],
)
def test_out_of_range_is_refused(override, said):
    with pytest.raises(ConfigError, match=said):
        check(load_recipe("countdown/grpo", [override]))


@pytest.mark.parametrize("narrowing", ["top_p=0.9", "top_k=5", "min_p=0.1"])
def test_truncated_sampling_with_an_importance_correction_is_refused(narrowing):
    overrides = ["train.use_vllm=true", f"train.{narrowing}"]
    with pytest.raises(ConfigError, match="cuts the distribution that vLLM samples from"):
        check(load_recipe("countdown/grpo", overrides))
    check(load_recipe("countdown/grpo", [*overrides, "train.vllm_importance_sampling_correction=false"]))
    check(load_recipe("countdown/grpo", [f"train.{narrowing}"]))


def test_an_adaptive_entropy_target_that_never_acts_is_said(tmp_path, capfd):
    build_trainer(tmp_path, use_adaptive_entropy=True, entropy_coef=0.01)
    assert "train.entropy_target is 0.2 nats" in capfd.readouterr().err
    build_trainer(tmp_path, use_adaptive_entropy=True, entropy_coef=0.01, entropy_target=1.5)
    assert "entropy_target" not in capfd.readouterr().err


def test_every_shipped_recipe_is_in_range(tmp_path):
    from rlkit.recipe import shipped_recipes

    archive = [f"archive.from={write_archive(tmp_path / 'archive.jsonl')}"]
    for name in shipped_recipes():
        check(load_recipe(name, archive if "archive" in name else []))
