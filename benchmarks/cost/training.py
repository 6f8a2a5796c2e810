"""Real GRPO steps, each scored by every method, with a stopwatch on everything that rlkit adds to TRL's work."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback

from cost.methods import Method
from cost.models import Scale, build_policy, build_tokenizer
from cost.stopwatch import Stopwatch
from cost.texts import Worked, write_worked
from rlkit.recipe.plan import Plan
from rlkit.tasks.countdown import Countdown, countdown_reward
from rlkit.terminal import note
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer, grpo
from rlkit.types import Row, prompt_text

ROWS, NUM_GENERATIONS, ROWS_AT_ONCE = 32, 16, 8
PARTS = ("reading", "comparing", "chain", "metrics")
"""What rlkit adds to a step: `reading` completions, `comparing` them, the advantage `chain`, the group `metrics`."""
FORWARDS = "forwards"
"""Forward passes of the policy for log-probs that a chain asks for and TRL skips."""
_WATCHED = {
    "_describe_batch": "comparing",
    "_remember": "comparing",
    "compute_advantages": "chain",
}


@dataclass(frozen=True)
class Step:
    """What one method cost in one optimizer step, in seconds."""

    total: float
    """The whole step with this method, and no other."""
    parts: dict[str, float]

    @property
    def share(self) -> float:
        """What rlkit's own work is of the whole step, in percent; forward passes of the policy are not in it."""
        return 100 * sum(self.parts.get(part, 0.0) for part in PARTS) / self.total

    @property
    def forward_share(self) -> float:
        """What those forward passes are of the whole step, in percent."""
        return 100 * self.parts.get(FORWARDS, 0.0) / self.total


@dataclass(frozen=True)
class Call:
    """One method's scoring of a batch, in seconds; of the first one in a step, its sampling too."""

    method: str
    took: float
    parts: dict[str, float]


class EveryMethod(DiverseGRPOTrainer):
    """Samples a batch once and has every method score it, each with a stopwatch of its own.

    Sampling is in earnest; then worked texts take the place of what random weights wrote.
    """

    plans: dict[str, Plan]
    rows: dict[str, Row]
    watch: Stopwatch

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._sampled: Any = None
        self.calls: list[Call] = []
        # Each method is the first in turn, when what it reads is not in any cache yet.
        first = self.state.global_step % len(self.plans)
        for name in [*self.plans][first:] + [*self.plans][:first]:
            self.plan = self.plans[name]
            start = time.perf_counter()
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
            self.calls.append(Call(name, time.perf_counter() - start, self.watch.take()))
        return output

    def _generate(self, prompts: list[str]) -> Any:
        if self._sampled is None:
            prompt_ids, _, mask, _, *rest = super()._generate(prompts)
            worked = [self.work_out(prompt, place) for place, prompt in enumerate(prompts)]
            self._sampled = prompt_ids, [each.ids for each in worked], mask, [each.text for each in worked], *rest
        return self._sampled

    def work_out(self, prompt: str, place: int) -> Worked:
        """Return the worked text of one row of this step."""
        generator = random.Random(f"{self.state.global_step}/{place}")
        return write_worked(self.rows[prompt], self.args.max_completion_length, self._tokenizer, generator)


class StepTimes(TrainerCallback):
    """Notes for each step what it would have taken with each of the methods alone; the first step is not counted."""

    def __init__(self, trainer: EveryMethod) -> None:
        self.steps: dict[str, list[Step]] = {name: [] for name in trainer.plans}
        self._trainer = trainer
        self._started = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock; sampling and scoring are part of the step."""
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the clock."""
        calls = self._trainer.calls
        bare = time.perf_counter() - self._started - sum(call.took for call in calls)
        # Sampling, and TRL's own scoring as often as a step has it, are in the first call.
        bare += calls[0].took - sum(calls[0].parts.values())
        note(f"Step {state.global_step} of {state.max_steps}: {bare:.1f} s without what is measured")
        if state.global_step > 1:
            for call in calls:
                self.steps[call.method].append(Step(bare + sum(call.parts.values()), call.parts))


def train_with_all(
    methods: dict[str, Method], scale: Scale, num_steps: int, completion_tokens: int, folder: Path
) -> dict[str, list[Step]]:
    """Train one step to warm up and `num_steps` more, and return the times of the latter for every method."""
    trainer = build_trainer(scale, 1 + num_steps, completion_tokens, folder)
    defaults: dict[str, Any] = {field.name: field.default for field in fields(DiverseGRPOConfig)}
    trainer.plans = {
        name: Plan.from_config(SimpleNamespace(**defaults | method.keys), [countdown_reward])
        for name, method in methods.items()
    }
    trainer.watch = Stopwatch()
    for name, part in _WATCHED.items():
        trainer.watch.watch(trainer, name, part)
    for name in ("of_behaviour", "of_prompts"):
        trainer.watch.watch(trainer.logprobs, name, FORWARDS)
    times = StepTimes(trainer)
    trainer.add_callback(times)
    # Functions of a module are watched for as long as this process lasts.
    trainer.watch.watch(grpo, "measure_diversity", "metrics")
    trainer.watch.watch(grpo, "read_batch", "reading")
    trainer.train()
    return times.steps


def build_trainer(scale: Scale, max_steps: int, completion_tokens: int, folder: Path) -> EveryMethod:
    """Return a trainer of float32 weights on the CPU, one optimizer step a generation batch."""
    problems = [
        {**row, "prompt": prompt_text(row["prompt"])}
        for row in Countdown(format="chat", train_size=max_steps * ROWS // NUM_GENERATIONS).load("train")
    ]
    arguments = {
        "output_dir": str(folder / "run"),
        "use_cpu": True,
        "bf16": False,
        # Without recomputation a step is as short as it can be, and the shares as large.
        "gradient_checkpointing": False,
        "per_device_train_batch_size": ROWS_AT_ONCE,
        "gradient_accumulation_steps": ROWS // ROWS_AT_ONCE,
        "num_generations": NUM_GENERATIONS,
        "max_completion_length": completion_tokens,
        "max_steps": max_steps,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    tokenizer = build_tokenizer()
    trainer = EveryMethod(
        model=build_policy(scale, tokenizer),
        reward_funcs=[countdown_reward],
        args=DiverseGRPOConfig(**arguments),
        train_dataset=Dataset.from_list(problems),
        processing_class=tokenizer,
    )
    trainer.rows = {row["prompt"]: row for row in problems}
    trainer.remove_callback(PrinterCallback)
    return trainer
