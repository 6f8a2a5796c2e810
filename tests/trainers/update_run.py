"""Train three steps on frozen rollouts with TRL's trainer or ours and save the weights; started under a launcher.

Ranks see different rollouts. In the second step nothing on rank 0 carries signal, in the third nothing anywhere does,
unless an anchor holds. Usage: update_run.py MODEL OUTPUT trl|fast BETA
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch
from trl import GRPOConfig, GRPOTrainer

from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from rlkit.trainers.stack import prepare_native_builds
from tests.trainers.tiny import build_dataset, build_tokenizer, training_arguments


def freeze(base):
    """Return the trainer class with rollouts and rewards that depend on step, rank and row."""

    class Frozen(base):
        def _generate(self, prompts):
            rng = random.Random(100 * self.state.global_step + self.accelerator.process_index)
            ids = [[rng.choice([4, 7, 22]) for _ in range(rng.randint(1, 5))] + [1] for _ in prompts]
            prompt_ids = [self.processing_class(prompt)["input_ids"] for prompt in prompts]
            texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
            return prompt_ids, ids, None, texts, None, {}, None, []

    return Frozen


def main(start: str, output: str, kind: str, beta: str) -> None:
    prepare_native_builds()
    base, config = {"trl": (GRPOTrainer, GRPOConfig), "fast": (DiverseGRPOTrainer, DiverseGRPOConfig)}[kind]
    settings = {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "max_steps": 3,
        "max_grad_norm": 0.5,
    }
    args = config(**training_arguments(output, beta=float(beta), scale_rewards="group", **settings))

    def reward(completions, **_):
        step = trainer.state.global_step
        if step == 2 or (step == 1 and args.process_index == 0):
            return [1.0] * len(completions)
        return [float(len(text.split())) for text in completions]

    trainer = freeze(base)(
        model=start,
        reward_funcs=reward,
        args=args,
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    trainer.train()
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.accelerator.is_main_process:
        weights = torch.cat([state[name].float().flatten() for name in sorted(state)])
        torch.save({"weights": weights, "log": trainer.state.log_history[:3]}, Path(output) / "run.pt")
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
