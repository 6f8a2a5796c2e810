"""Train two steps on frozen completions and save the weights; started on one rank or under `accelerate launch` on two.

The completions depend on the step and on the row's place in world order only, so that runs on any number of ranks see
the same rollouts. Usage: frozen_run.py OUTPUT_DIR ROWS_PER_RANK
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch

import rlkit
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments


class FrozenRollouts(DiverseGRPOTrainer):
    """A trainer whose completions come from a seed."""

    def _generate(self, prompts):
        first = self.accelerator.process_index * len(prompts)
        ids = [self._frozen_completion(first + i) for i in range(len(prompts))]
        prompt_ids = [self.processing_class(prompt)["input_ids"] for prompt in prompts]
        texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        return prompt_ids, ids, None, texts, None, {}, None, []

    def _frozen_completion(self, row: int) -> list[int]:
        rng = random.Random(1000 * self.state.global_step + row)
        # Few words, so that groups contain copies and the partition matters.
        return [rng.choice([4, 7, 22]) for _ in range(rng.randint(1, 3))] + [1]


@rlkit.group_reward
def rank_in_group(completions, *, prompt, target):
    """A reward that is wrong unless the whole group is seen: the share of siblings that are shorter."""
    lengths = [len(text.split()) for text in completions]
    return [sum(other < length for other in lengths) / (len(lengths) - 1) for length in lengths]


def even_length(completions, **columns):
    return [float(len(text.split()) % 2 == 0) if text.split()[0] != "20" else None for text in completions]


def main(output: str, rows_per_rank: str) -> None:
    arguments = training_arguments(
        output, per_device_train_batch_size=int(rows_per_rank), advantage="darling", partition="normalised_text"
    )
    trainer = FrozenRollouts(
        model=build_model(),
        reward_funcs=[rank_in_group, even_length],
        args=DiverseGRPOConfig(**arguments),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    trainer.train()
    if trainer.accelerator.is_main_process:
        model = trainer.accelerator.unwrap_model(trainer.model)
        weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
        Path(output).mkdir(parents=True, exist_ok=True)
        log = {key: value for key, value in trainer.state.log_history[0].items() if "/" in key or key == "reward"}
        torch.save(
            {"weights": weights, "advantages": list(trainer._logs["advantages"]), "log": log}, f"{output}/run.pt"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
