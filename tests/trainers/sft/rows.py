"""Rows of unequal length and weight for the tiny model, a trainer on them, and the same step by a slow loop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from datasets import Dataset

from rlkit.objective.negatives import Negatives
from rlkit.tasks.demonstrations import Demonstration
from rlkit.trainers.sft.config import DiverseSFTConfig
from rlkit.trainers.sft.encoding import EncodedRow, Encoder, make_examples, pack_examples
from rlkit.trainers.sft.pushing import NegativeRows
from rlkit.trainers.sft.trainer import DiverseSFTTrainer
from tests.trainers.tiny import build_model, build_tokenizer


def list_rows(count: int = 8, sign: float = 1.0) -> list[Demonstration]:
    """Return rows of one to seven words, weighing 0.25 to 2."""
    answers = (" ".join(str((at * step) % 20) for step in range(1, 2 + at % 7)) for at in range(count))
    return [
        Demonstration(f"{at % 5} + {at % 3}", answer, sign * (1 + at) / 4, -3.0 - at, f"row {at + 1}")
        for at, answer in enumerate(answers)
    ]


def encode(rows: Sequence[Demonstration]) -> list[EncodedRow]:
    """Return the rows as the tiny model's tokens."""
    tokenizer = build_tokenizer()
    return Encoder(tokenizer, frozenset([tokenizer.eos_token_id]), {}).encode(rows)


def build_trainer(
    output, rows: Sequence[EncodedRow], pushed: Sequence[EncodedRow] = (), **changes
) -> DiverseSFTTrainer:
    """Return a trainer on the tiny model whose one step moves the weights by minus the gradient."""
    settings = {
        "output_dir": str(output),
        "use_cpu": True,
        "bf16": False,
        "per_device_train_batch_size": len(rows),
        "max_steps": 1,
        "learning_rate": 1.0,
        "lr_scheduler_type": "constant",
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "weight_decay": 0.0,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "max_length": 64,
        "seed": 0,
    } | changes.pop("settings", {})
    config = DiverseSFTConfig(**settings)
    columns = pack_examples(rows, config.max_length) if config.packing else make_examples(rows)
    negatives = None
    if pushed:
        negatives = NegativeRows(Negatives(**changes), Dataset.from_dict(make_examples(pushed)), seed=0)
    return DiverseSFTTrainer(
        model=build_model(),
        args=config,
        train_dataset=Dataset.from_dict(columns),
        processing_class=build_tokenizer(),
        negatives=negatives,
    )


def take_gradient(trainer: DiverseSFTTrainer) -> dict[str, torch.Tensor]:
    """Return the gradient of the trainer's first step, by name."""
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    return {name: before[name] - value.detach() for name, value in trainer.model.named_parameters()}


def score(model, row: EncodedRow) -> torch.Tensor:
    """Return the log-probs of a row's answer, one row and no padding, by the model's own logits."""
    ids = torch.tensor([[*row.prompt_ids, *row.completion_ids]])
    logps = model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[:, 0]
    return logps[len(row.prompt_ids) - 1 :]


def slow_gradient(loss_of) -> dict[str, torch.Tensor]:
    """Return the gradient of `loss_of(model)` at the weights that the trainer starts from."""
    model = build_model()
    loss_of(model).backward()
    return {name: value.grad for name, value in model.named_parameters()}


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], atol: float = 2e-6) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            value, two[name], atol=atol, rtol=1e-4, msg=lambda said, name=name: f"{name}: {said}"
        )
