"""Train three steps on frozen completions by several methods; started on one rank or under a launcher on two.

The completions depend on the step and on the row's place in world order only, so that runs on any number of ranks see
the same rollouts. Usage: frozen_run.py OUTPUT_DIR ROWS_PER_RANK
"""

from __future__ import annotations

import os
import random
import sys

import torch

import rlkit
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments


class FrozenRollouts(DiverseGRPOTrainer):
    """A trainer whose completions come from a seed."""

    def _generate(self, prompts):
        first = self.accelerator.process_index * len(prompts)
        ids = [self._frozen_completion(first + i) for i in range(len(prompts))]
        self.prompt_ids = prompt_ids = [self.processing_class(prompt)["input_ids"] for prompt in prompts]
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


@rlkit.group_reward(role="modifier")
def prefer_likely(completions, *, base_rewards, lengths, truncated, mean_logps, step):
    """A modifier that is wrong unless what it is given of each completion is that completion's."""
    assert truncated == [False] * len(completions)
    assert lengths == [len(text.split()) + 1 for text in completions]
    values = [
        None if base is None else base + step + 0.1 * round(logp, 1)
        for base, logp in zip(base_rewards, mean_logps, strict=True)
    ]
    return {"values": values, "metrics": {"likeliest": max(mean_logps)}}


@rlkit.reward(role="penalty")
def brief(completion, lengths, completion_ids):
    assert len(completion_ids) == lengths
    return -0.1 * lengths


ROLES = [prefer_likely, brief]

METHODS = {
    "roles": {},
    "darling": {"advantage": "darling", "partition": "normalised_text"},
    "every fact": {
        "advantage": [
            {"name": "multiply_by_distinctness", "closure": "pairwise"},
            "divide_by_similarity",
            "subtract_group_mean",
            {"name": "reweight_by_confidence", "on_all_correct": True},
            {"name": "add_outcome_bonus", "kind": "ucb_con"},
        ],
        "partition": {"name": "ngram_overlap", "n": 1},
        "answers": "normalised_text",
        "embedding": "hashed_ngrams",
    },
    "reference and memory": {
        "advantage": [
            "grpo",
            {"name": "gate_by_boundary", "history": True, "gate": 0.0, "k": 4},
            "equalise_solutions",
            "favour_unlikely_correct",
            {"name": "subtract_drift", "beta": 0.1},
        ],
        "partition": {"name": "ngram_overlap", "n": 1},
        "objective": {"name": "repo", "target": 100.0},
    },
    "anchor in the loss": {
        "advantage": "grpo",
        "objective": {
            "anchor": {
                "name": "js",
                "coef": {"name": "target_kl", "target": 0.01, "start": 0.5},
                "reference": {"name": "ema", "decay": 0.5},
                "only": "mastered",
                "mastered_above": 0.5,
            }
        },
    },
    "anchor in the reward": {
        "advantage": "dr_grpo",
        "objective": {"anchor": {"name": "kl", "estimator": "k1", "coef": 0.5, "where": "reward"}},
    },
}


def train(output: str, rows_per_rank: int, method: str) -> dict[str, object]:
    """Train three steps by one of `METHODS`; return what the ranks must agree on."""
    arguments = training_arguments(
        output, per_device_train_batch_size=rows_per_rank, max_steps=3, correct_reward=1, **METHODS[method]
    )
    start = f"{output}/start-{os.environ.get('RANK', '0')}"
    build_model().save_pretrained(start)
    trainer = FrozenRollouts(
        model=start,
        reward_funcs=[rank_in_group, even_length, *(ROLES if method == "roles" else [])],
        args=DiverseGRPOConfig(**arguments),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    trainer.train()
    model = trainer.accelerator.unwrap_model(trainer.model)
    return {
        "weights": torch.cat([parameter.detach().flatten() for parameter in model.parameters()]),
        "advantages": list(trainer._logs["advantages"]),
        "answer_counts": trainer.memory.answer_counts.to_json(),
        "anchor_coef": trainer.memory.anchor_coef or 0.0,
        "log": trainer.state.log_history[:3],
    }


def main(output: str, rows_per_rank: str) -> None:
    runs = {method: train(output, int(rows_per_rank), method) for method in METHODS}
    if os.environ.get("RANK", "0") == "0":
        torch.save(runs, f"{output}/runs.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
