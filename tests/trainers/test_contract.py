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
        ("train", ["self", "resume_from_checkpoint", "trial", "ignore_keys_for_eval"]),
        ("training_step", ["self", "model", "inputs", "num_items_in_batch"]),
        ("_save_optimizer_and_scheduler", ["self", "output_dir"]),
        ("_load_optimizer_and_scheduler", ["self", "checkpoint"]),
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


def test_the_forward_pass_takes_what_we_give_it():
    names = parameters(GRPOTrainer._get_per_token_logps_and_entropies)
    assert names[:6] == ["self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size"]
    assert {"compute_entropy", "compute_aux_loss"} <= set(names)


def test_forward_passes_that_are_left_out_while_sampling_are_asked_for_by_these_names():
    text = source("_generate_and_score_completions")
    assert text.count("self._get_per_token_logps_and_entropies(") == 3
    assert "if self.beta != 0.0:" in text
    assert "if old_per_token_logps is not None:" in text
    assert "self.use_vllm and self.vllm_importance_sampling_correction" in text


def test_the_buffer_is_filled_and_split_as_the_fast_path_expects():
    text = source("_prepare_inputs")
    assert "self._buffered_inputs = [" in text
    assert "self._buffered_inputs[self._step % self.args.steps_per_generation]" in text
    assert "self._step += 1" in source("training_step")


def test_the_entropy_bonus_keeps_its_state_where_we_look():
    text = source("_compute_loss")
    for name in ("_entropy_bonus_enabled", "use_adaptive_entropy", "_last_world_entropy", "_entropy_window_stats"):
        assert f"self.{name}" in text
