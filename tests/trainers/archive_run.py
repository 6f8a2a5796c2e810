"""Train on frozen rollouts with an archive that grows and a lagging sampler; started under a launcher or not.

What is drawn depends on the step and the row's place among those of all ranks. Usage: archive_run.py MODEL OUTPUT ROWS
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch

from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.tiny import build_dataset, build_tokenizer, training_arguments


class Frozen(DiverseGRPOTrainer):
    """A trainer whose rollouts are the same however many ranks share them."""

    def _generate(self, prompts):
        first = self.accelerator.process_index * len(prompts)
        ids = [draw(self.state.global_step, first + row) for row in range(len(prompts))]
        prompt_ids = [self.processing_class(prompt)["input_ids"] for prompt in prompts]
        texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        return prompt_ids, ids, None, texts, None, {}, None, []


def draw(step: int, place: int) -> list[int]:
    rng = random.Random(100 * step + place)
    return [rng.choice([4, 7, 22]) for _ in range(rng.randint(1, 5))] + [1]


def main(start: str, output: str, rows: str) -> None:
    archive = {
        "from": [str(Path(output).parent / "archive.jsonl")],
        "grow": True,
        "rows_per_step": 3,
        "uses_per_solution": 2,
        "capacity": 3,
    }
    changes = {
        "advantage": "w_reinforce",
        "partition": "normalised_text",
        "archive": archive,
        "sampler": {"ema": 0.5},
        "per_device_train_batch_size": int(rows),
        "max_steps": 4,
        "save_strategy": "steps",
        "save_steps": 4,
    }
    trainer = Frozen(
        model=start,
        reward_funcs=lambda completions, **_: [float(len(text.split()) > 2) for text in completions],
        args=DiverseGRPOConfig(**training_arguments(output, **changes)),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    trainer.train()
    if trainer.accelerator.is_main_process:
        weights = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
        torch.save({"weights": weights, "log": trainer.state.log_history[:4]}, Path(output) / "run.pt")
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
