"""What we rely on in TRL 1.16's SFTTrainer; when one fails after an upgrade, read the override that it names."""

from __future__ import annotations

import inspect

import pytest
from transformers import Trainer
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from rlkit.trainers.sft.trainer import DiverseSFTTrainer


def source(owner, method):
    return inspect.getsource(inspect.unwrap(getattr(owner, method)))


@pytest.mark.parametrize(
    ("owner", "method", "expected"),
    [
        (SFTTrainer, "compute_loss", ["self", "model", "inputs", "return_outputs", "num_items_in_batch"]),
        (SFTTrainer, "_set_signature_columns_if_needed", ["self"]),
        (Trainer, "get_batch_samples", ["self", "epoch_iterator", "num_batches", "device"]),
        (Trainer, "_get_num_items_in_batch", ["self", "batch_samples", "device"]),
        (Trainer, "training_step", ["self", "model", "inputs", "num_items_in_batch"]),
    ],
)
def test_signatures_we_override_or_count_on(owner, method, expected):
    assert list(inspect.signature(inspect.unwrap(getattr(owner, method))).parameters) == expected


def test_we_override_what_the_trainer_says_and_no_more():
    ours = {name for name in vars(DiverseSFTTrainer) if hasattr(SFTTrainer, name) and not name.startswith("__")}
    assert ours == {"_set_signature_columns_if_needed", "get_batch_samples", "_get_num_items_in_batch", "compute_loss"}


def test_a_loss_that_knows_the_divisor_is_not_divided_again():
    text = source(Trainer, "training_step")
    assert "(not self.model_accepts_loss_kwargs or num_items_in_batch is None)" in text
    assert 'kwargs["scale_wrt_gas"] = False' in text


def test_the_divisor_is_counted_over_the_micro_batches_that_are_returned():
    assert "self._get_num_items_in_batch(batch_samples, device)" in source(Trainer, "get_batch_samples")


def test_trls_loss_is_what_ours_is_with_weights_of_one():
    text = source(SFTTrainer, "compute_loss")
    assert "outputs = model(**inputs, fused_lm_head=True)" in text
    assert "per_token_loss = -outputs.log_probs  # zero on ignored positions" in text
    assert "loss = loss * (self.accelerator.num_processes // self.get_tp_size())" in text


def test_rows_that_are_ready_are_left_as_they_are():
    text = source(SFTTrainer, "__init__")
    assert 'args.dataset_kwargs.get("skip_prepare_dataset", False)' in text
    assert 'outputs=("log_probs", "entropy", "is_top1")' in text


def test_the_collator_hides_the_seams_of_packed_rows():
    assert 'output["labels"][output["position_ids"] == 0] = -100' in source(
        DataCollatorForLanguageModeling, "torch_call"
    )
