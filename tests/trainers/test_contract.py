"""What we rely on in TRL 1.16's private methods; when one fails after an upgrade, read the override it names."""

from __future__ import annotations

import inspect

import pytest
import trl
from trl import GRPOTrainer


def parameters(method):
    return list(inspect.signature(inspect.unwrap(method)).parameters)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("_calculate_rewards", ["self", "inputs", "prompts", "completions", "completion_ids_list"]),
        ("_generate_and_score_completions", ["self", "inputs"]),
        ("_prepare_inputs", ["self", "generation_batch"]),
        ("_compute_loss", ["self", "model", "inputs"]),
        ("_generate", ["self", "prompts"]),
    ],
)
def test_signatures_we_override_or_replace(method, expected):
    assert parameters(getattr(GRPOTrainer, method)) == expected


def test_constructor_takes_what_we_pass_on():
    names = parameters(GRPOTrainer.__init__)
    assert names[:4] == ["self", "model", "reward_funcs", "args"]
    assert {"train_dataset", "eval_dataset", "processing_class", "peft_config", "callbacks"} <= set(names)


def test_version_is_the_one_that_was_read():
    assert trl.__version__.startswith("1.16."), (
        "re-read the seams listed in rlkit/trainers/grpo.py before allowing another"
    )


def source(method):
    return inspect.getsource(inspect.unwrap(getattr(GRPOTrainer, method)))


def test_rewards_are_scored_once_per_generation_and_come_back_gathered():
    assert source("_generate_and_score_completions").count("self._calculate_rewards(") == 1
    assert "rewards_per_func = gather(rewards_per_func)" in source("_calculate_rewards")


def test_our_slice_of_the_advantages_is_theirs():
    text = source("_generate_and_score_completions")
    assert "self.accelerator.process_index * len(prompts)" in text
    assert 'self._logs["advantages"].extend(all_process_advantages.tolist())' in text
    assert '"advantages": advantages' in text
