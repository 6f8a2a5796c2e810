"""Row weights in a real step: the gradient of a slow loop over rows, however the step is cut; TRL's with its rule."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from rlkit.errors import ConfigError
from rlkit.trainers.sft.collating import leave_out_examples
from rlkit.trainers.sft.encoding import make_examples
from tests.trainers.sft.rows import (
    assert_same,
    build_trainer,
    encode,
    list_rows,
    score,
    slow_gradient,
    take_gradient,
)
from tests.trainers.tiny import build_model, build_tokenizer

SLOW = {
    "sequence_mean": (lambda logps: -logps.mean(), lambda row, logps: row.weight),
    "token_sum": (lambda logps: -logps.sum(), lambda row, logps: row.weight),
    "trl": (lambda logps: -logps.sum(), lambda row, logps: row.weight * len(logps)),
}


def slow_loss(rule, rows):
    nll_of, divisor_of = SLOW[rule]

    def loss_of(model):
        scored = [(each.row, score(model, each)) for each in rows]
        total = sum(row.weight * nll_of(logps) for row, logps in scored)
        return total / sum(divisor_of(row, logps) for row, logps in scored)

    return loss_of


@pytest.mark.parametrize("rule", SLOW)
@pytest.mark.parametrize("size", [8, 4, 2, 1])
def test_a_step_is_the_slow_loop_however_it_is_cut(tmp_path, rule, size):
    rows = encode(list_rows())
    cut = {"row_weighting": rule, "per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size}
    assert_same(take_gradient(build_trainer(tmp_path, rows, settings=cut)), slow_gradient(slow_loss(rule, rows)))


@pytest.mark.parametrize("rule", SLOW)
def test_packed_rows_learn_the_same(tmp_path, rule):
    rows = encode(list_rows())
    packed = {"row_weighting": rule, "packing": True, "max_length": 24, "per_device_train_batch_size": 16}
    trainer = build_trainer(tmp_path, rows, settings=packed)
    assert 1 < len(trainer.train_dataset) < len(rows)
    assert_same(take_gradient(trainer), slow_gradient(slow_loss(rule, rows)))


def test_rows_that_see_each_other_are_not_packed(tmp_path):
    trainer = build_trainer(tmp_path, encode(list_rows()), settings={"packing": True, "max_length": 24})
    forward = trainer.model.forward
    # A model that knows nothing of documents: positions run on, so that all before a token is seen.
    trainer.model.forward = lambda *args, position_ids=None, **kwargs: forward(*args, **kwargs)
    with pytest.raises(ConfigError, match="Packed rows see each other"):
        trainer.train()


@pytest.mark.parametrize("accumulation", [1, 2])
def test_with_weights_of_one_trls_rule_is_trls_trainer(tmp_path, accumulation):
    rows = [row for row in encode(list_rows(16)) if row.row.weight]
    examples = make_examples(rows)
    examples["weights"] = [[1.0]] * len(rows)
    shared = {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": accumulation,
        "max_steps": 3,
        "optim": "adamw_torch",
        "learning_rate": 1e-3,
        "max_grad_norm": 1.0,
    }
    ours = build_trainer(tmp_path / "ours", rows, settings=shared | {"row_weighting": "trl"})
    ours.train_dataset = Dataset.from_dict(examples)
    settings = {name: getattr(ours.args, name) for name in ("use_cpu", "bf16", "lr_scheduler_type", "weight_decay")}
    settings |= {"gradient_checkpointing": False, "report_to": "none", "disable_tqdm": True, "logging_steps": 1}
    theirs = SFTTrainer(
        model=build_model(),
        args=SFTConfig(
            output_dir=str(tmp_path / "theirs"),
            dataset_kwargs={"skip_prepare_dataset": True},
            save_strategy="no",
            seed=0,
            **settings,
            **shared,
        ),
        train_dataset=Dataset.from_dict({key: examples[key] for key in ("input_ids", "labels")}),
        processing_class=build_tokenizer(),
    )
    ours.train()
    theirs.train()
    for (name, one), (_, two) in zip(ours.model.named_parameters(), theirs.model.named_parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0, msg=name)
    mine, his = ([entry for entry in each.state.log_history if "loss" in entry] for each in (ours, theirs))
    for one, two in zip(mine, his, strict=True):
        for key in ("loss", "grad_norm", "entropy", "mean_token_accuracy", "num_tokens"):
            assert one[key] == pytest.approx(two[key], abs=1e-5), key


@pytest.mark.parametrize("push", ["probability", "ratio"])
@pytest.mark.parametrize("size", [8, 2])
def test_rows_pushed_down_join_the_step_at_their_own_divisor(tmp_path, push, size):
    rows, wrong = encode(list_rows()), encode(list_rows(6, sign=-1.0))
    cut = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size}
    trainer = build_trainer(tmp_path, rows, wrong, settings=cut, weight=0.5, rows_per_step=6, push=push, max_ratio=1e-3)

    def loss_of(model):
        pushed = [(abs(each.row.weight), score(model, each), each.row.logp) for each in wrong]
        total = 0
        for weight, logps, logp in pushed:
            if push == "probability":
                total = total + weight * logps.exp().mean()
            else:
                ratio = (logps.sum() - logp).exp().clamp(max=1e-3).detach()
                total = total + weight * ratio * logps.mean()
        return slow_loss("sequence_mean", rows)(model) + 0.5 * total / sum(weight for weight, *_ in pushed)

    assert_same(take_gradient(trainer), slow_gradient(loss_of))


def test_a_step_that_weighs_nothing_moves_nothing(tmp_path):
    rows = encode(list_rows())
    trainer = build_trainer(tmp_path, rows)
    trainer.train_dataset = Dataset.from_dict(make_examples(rows) | {"weights": [[0.0]] * len(rows)})
    assert all((value == 0).all() for value in take_gradient(trainer).values())


def test_nll_of_rows_is_that_of_one_row_alone(tmp_path):
    rows = encode(list_rows())
    trainer = build_trainer(tmp_path, rows, settings={"per_device_train_batch_size": 3})
    columns = make_examples(rows)
    examples = [{name: values[at] for name, values in columns.items()} for at in range(len(rows))]
    expected = torch.stack([-score(build_model(), row).mean() for row in rows])
    torch.testing.assert_close(trainer.mean_nlls(examples), expected.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("packing", [False, True])
def test_what_ranks_are_given_again_counts_nothing(tmp_path, packing):
    rows = encode(list_rows())
    trainer = build_trainer(tmp_path, rows, settings={"packing": packing, "max_length": 24})
    batch = trainer.data_collator([trainer.train_dataset[at] for at in range(3)])
    fewer = leave_out_examples(batch, 2)
    alone = trainer.data_collator([trainer.train_dataset[at] for at in range(2)])
    assert leave_out_examples(batch, 3) is batch
    assert fewer["row_divisors"].sum() == alone["row_divisors"].sum() < batch["row_divisors"].sum()
    assert fewer["row_coefs"].sum() == pytest.approx(alone["row_coefs"].sum())
    assert leave_out_examples(batch, 0)["row_coefs"].sum() == 0
