"""PPO on frozen rollouts of the tiny model, in this process or under a launcher.

Completions depend on the step and on the row's place in world order only, so that runs on any number of ranks see the
same. Usage under a launcher: runs.py MODEL OUTPUT ROWS_PER_RANK KIND [LoRA]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch

from rlkit.trainers import DiversePPOConfig, DiversePPOTrainer
from rlkit.trainers.stack import prepare_native_builds
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments

NO_WHITENING = {"whiten_advantages": False}


class FrozenPPO(DiversePPOTrainer):
    """PPO whose completions come from a seed; every third runs out of room."""

    def _generate(self, prompts):
        first = self.accelerator.process_index * len(prompts)
        ids = [self._complete(first + row) for row in range(len(prompts))]
        self.prompt_ids = prompt_ids = [self.processing_class(prompt)["input_ids"] for prompt in prompts]
        texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        return prompt_ids, ids, None, texts, None, {}, None, []

    def _complete(self, row):
        rng = random.Random(1000 * self.state.global_step + row)
        words = [rng.choice([4, 7, 22]) for _ in range(rng.randint(1, 5))]
        return [*words, 7] if row % 3 == 2 else [*words, 1]


def earn(completions, **_):
    """1 where a completion has an even number of words."""
    return [float(len(text.split()) % 2 == 0) for text in completions]


def build(output, model=None, peft_config=None, trainer=FrozenPPO, reward=earn, **settings):
    """Return a trainer of three small steps; more settings are of `DiversePPOConfig`."""
    arguments = training_arguments(str(output), **{"max_steps": 3, "learning_rate": 1e-2, **settings})
    return trainer(
        model=model or build_model(),
        reward_funcs=reward,
        args=DiversePPOConfig(**arguments),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
        peft_config=peft_config,
    )


def flatten(parameters):
    """Return parameters as one vector, copied."""
    return torch.cat([parameter.detach().float().flatten() for parameter in parameters]).clone()


def read_critic(trainer):
    """Return the critic's weights as one vector."""
    return flatten(trainer.critic.parameters())


def main(start: str, output: str, rows_per_rank: str, kind: str, adapted: str = "") -> None:
    prepare_native_builds()
    from peft import LoraConfig

    adapter = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM") if adapted else None
    critic = {"kind": kind, "learning_rate": 0.01, "epochs": 2, "minibatches": 2}
    if kind == "separate":
        critic["path"] = start
    rows = {"per_device_train_batch_size": int(rows_per_rank) // 2, "gradient_accumulation_steps": 2}
    trainer = build(output, model=start, peft_config=adapter, critic=critic, max_grad_norm=0.5, **rows)
    trainer.train()
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.accelerator.is_main_process:
        weights = torch.cat([state[name].float().flatten() for name in sorted(state) if "critic" not in name])
        found = {"weights": weights, "critic": read_critic(trainer), "log": trainer.state.log_history[:3]}
        torch.save(found, Path(output) / "run.pt")
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
