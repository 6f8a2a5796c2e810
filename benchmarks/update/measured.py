"""Both trainers with a clock on their update phase, on rollouts that are given to them."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from update.rollouts import Rollouts, Size

TRAINERS: dict[str, Any] = {"trl": (GRPOTrainer, GRPOConfig), "rlkit": (DiverseGRPOTrainer, DiverseGRPOConfig)}


@dataclass(frozen=True)
class Update:
    """One update phase."""

    seconds: float
    cpu_seconds: float
    """Of all threads of this process; other processes hardly touch it."""
    tokens: int
    """Forwarded for log-probs, with gradient or without, padding included."""
    loss: float
    grad_norm: float
    """The gradient's, which tells whether two trainers did the same."""


class Clock:
    """Counts seconds from `start` to `stop`, without what lies inside `pause`, and the tokens forwarded meanwhile."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self.tokens = 0
        self._since = (0.0, 0.0)

    def start(self) -> None:
        """Set everything to 0 and begin."""
        self.seconds = self.cpu_seconds = 0.0
        self.tokens = 0
        self._since = _now()

    def stop(self) -> None:
        """Add what has passed since the last start or pause."""
        seconds, cpu_seconds = _now()
        self.seconds += seconds - self._since[0]
        self.cpu_seconds += cpu_seconds - self._since[1]

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Leave out what is done inside."""
        self.stop()
        try:
            yield
        finally:
            self._since = _now()


def _now() -> tuple[float, float]:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


class Timed:
    """Before a GRPO trainer in its bases: gives it frozen rollouts and times what it does with them.

    TRL forwards for old and reference log-probs before it scores, so the clock runs from the end of sampling and rests
    while rewards are calculated.
    """

    rollouts: Rollouts
    clock: Clock

    def _generate(self, prompts: list[Any]) -> Any:
        given = self.rollouts
        texts = [""] * len(prompts)
        self.clock.start()
        return given.prompts, given.completions, None, texts, given.sampled_logps, {}, None, []

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        with self.clock.pause():
            return super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(self, model: Any, input_ids: Any, *args: Any, **kwargs: Any) -> Any:
        self.clock.tokens += input_ids.numel()
        return super()._get_per_token_logps_and_entropies(model, input_ids, *args, **kwargs)  # type: ignore[misc]


class StopAfterStep(TrainerCallback):
    """Stops the clock when the optimizer has stepped and gradients are cleared."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the clock."""
        self._clock.stop()


def build_trainer(
    name: str,
    model: str,
    tokenizer: Any,
    size: Size,
    options: dict[str, Any],
    folder: Path,
    kind: tuple[Any, Any] | None = None,
    peft_config: Any = None,
) -> Any:
    """Return a trainer with a clock, which learns a whole generation batch in one optimizer step.

    Args:
        name: a key of `TRAINERS`, or any word with `kind`.
        model: the directory of the policy.
        tokenizer: the policy's.
        size: of a generation batch.
        options: more keys of the configuration.
        folder: where the trainer may write; nothing is saved.
        kind: the trainer and its configuration, where they are none of `TRAINERS`.
        peft_config: of an adapter; None trains all weights.
    """
    base, config = kind or TRAINERS[name]
    arguments = {
        "output_dir": str(folder / name),
        "use_cpu": not torch.cuda.is_available(),
        "bf16": torch.cuda.is_available(),
        # At a learning rate of 0 the optimizer works as ever and the weights stay, so all runs start from the same.
        "learning_rate": 0.0,
        "per_device_train_batch_size": size.rows_at_once,
        "gradient_accumulation_steps": size.rows // size.rows_at_once,
        "num_generations": size.num_generations,
        "max_completion_length": size.completion_tokens,
        "max_steps": 1,
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    } | options
    trainer: Any = type(base.__name__, (Timed, base), {})(
        model=model,
        reward_funcs=[lambda completions, **_: trainer.rollouts.rewards],
        args=config(**arguments),
        train_dataset=Dataset.from_list([{"prompt": str(place)} for place in range(size.rows)]),
        processing_class=tokenizer,
        peft_config=peft_config,
    )
    trainer.clock = Clock()
    trainer.add_callback(StopAfterStep(trainer.clock))
    trainer.remove_callback(PrinterCallback)
    return trainer


def run_update(trainer: Any, rollouts: Rollouts) -> Update:
    """Train one step on the rollouts; where they have a sampler's log-probs, the importance correction is on."""
    trainer.rollouts = rollouts
    # All that an engine would add to the update; nothing is sampled, so none is needed.
    trainer.use_vllm = rollouts.sampled_logps is not None
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    logged: dict[str, float] = {}
    for entry in trainer.state.log_history:
        logged |= entry
    clock = trainer.clock
    return Update(clock.seconds, clock.cpu_seconds, clock.tokens, logged["loss"], logged["grad_norm"])
