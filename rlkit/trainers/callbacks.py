"""What happens at the edges of a training step: the log on disk, and stopping when asked to."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rlkit.runs import RunDirectory
from rlkit.terminal import note

_ONE_KEYPRESS_S = 1.0
"""Under a launcher one Ctrl-C arrives twice, from the terminal and from the launcher; this close they are one."""


class RunLog(TrainerCallback):
    """Keeps train_log.jsonl and run.json current; does nothing on ranks other than 0."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Append one line; the summary that transformers logs at the very end is no step and is left out."""
        if not state.is_world_process_zero or logs is None or "train_runtime" in logs:
            return
        self._directory.append_log({"step": state.global_step, **logs})
        self._directory.write_state(step=state.global_step, max_steps=state.max_steps)


class StopOnSignal(TrainerCallback):
    """The first Ctrl-C or SIGTERM ends training after a step, with a checkpoint; the second quits at once.

    Use as a context manager around training. Ranks agree in every step, so that all stop after the same one.
    """

    def __init__(self) -> None:
        self.stopped = False
        """Whether training ended early because of a signal."""
        self._asked_at: float | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignal:
        # Signals reach the main thread only; elsewhere the program around us decides.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            note("Stopping after this step, with a checkpoint; Ctrl-C once more quits at once.")
        elif now - self._asked_at > _ONE_KEYPRESS_S:
            raise KeyboardInterrupt

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint and the end, if any rank was asked to stop and this step may be the last."""
        if self._any_rank_asked(args) and _ends_generation_batch(args, state) and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    def _any_rank_asked(self, args: TrainingArguments) -> bool:
        return _on_any_rank(self._asked_at is not None, args)


class SaveByTheClock(TrainerCallback):
    """Asks for a checkpoint when the last one is half an hour old, where the recipe says nothing of `save_strategy`.

    A short run writes none. Ranks agree in every step, so that all save after the same one.
    """

    def __init__(self, every_s: float = 1800.0) -> None:
        self._every_s = every_s
        self._last = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint if one is due on any rank, after a step that ends its batch."""
        due = _on_any_rank(time.monotonic() - self._last >= self._every_s, args)
        if due and _ends_generation_batch(args, state):
            self._last = time.monotonic()
            control.should_save = True


def _on_any_rank(value: bool, args: TrainingArguments) -> bool:
    if args.world_size == 1:
        return value
    flag = torch.tensor(int(value), device=args.device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())


def _ends_generation_batch(args: Any, state: TrainerState) -> bool:
    # A continued run starts by sampling, so one that stops in the middle of a batch would train on part of it twice.
    if not hasattr(args, "steps_per_generation"):
        return True
    period = args.steps_per_generation * args.num_iterations
    return state.global_step * args.gradient_accumulation_steps % period == 0


class AfterStep(TrainerCallback):
    """Calls a function once an optimizer step is done, before a checkpoint is written."""

    def __init__(self, finish_step: Callable[[], None]) -> None:
        self._finish_step = finish_step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Pass the moment on."""
        self._finish_step()
