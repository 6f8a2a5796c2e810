"""What a person sees while a run trains: a bar with the numbers that matter, or lines where there is no terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rlkit.terminal import console, note

_SHOWN = {
    "reward": "reward",
    "entropy": "entropy",
    "kl": "KL",
    "critic/explained_variance": "critic explains",
    "diversity/distinct_correct": "distinct correct",
}
_SECONDS_BETWEEN_LINES = 15.0


class ProgressDisplay(TrainerCallback):
    """Shows steps, the latest metrics and the time left, on standard error, from rank 0."""

    def __init__(self, title: str, shown: dict[str, str] | None = None) -> None:
        """Take what the display is called, and metric -> its word there; None shows those of RL."""
        self._title = title
        self._shown = _SHOWN if shown is None else shown
        self._bar: Progress | None = None
        self._row = TaskID(0)
        self._metrics = ""
        self._started = self._last_line = 0.0
        self._first_step = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Put the bar up."""
        if not state.is_world_process_zero:
            return
        self._started = self._last_line = time.monotonic()
        self._first_step = state.global_step
        if not console().is_terminal:
            return
        # In a narrow window the bar shrinks, never the numbers.
        whole = Column(no_wrap=True, overflow="ignore")
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None, table_column=Column(ratio=1, max_width=40)),
            MofNCompleteColumn(table_column=whole),
            TextColumn("{task.fields[metrics]}", table_column=whole),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
        )
        self._bar = Progress(*columns, console=console(), expand=True)
        name = Path(self._title).name
        self._row = self._bar.add_task(name, total=state.max_steps, completed=state.global_step, metrics="")
        self._bar.start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Show the latest values."""
        shown = {word: logs[key] for key, word in self._shown.items() if logs and isinstance(logs.get(key), float)}
        if not state.is_world_process_zero or not shown:
            return
        self._metrics = "  ".join(f"{word} {value:.2f}" for word, value in shown.items())
        if self._bar is not None:
            self._bar.update(self._row, metrics=self._metrics)
        else:
            self._print_line(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._row, completed=state.global_step)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take the bar down."""
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was, also after an error."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print_line(self, state: TrainerState) -> None:
        now = time.monotonic()
        is_last = state.global_step >= state.max_steps
        if now - self._last_line < _SECONDS_BETWEEN_LINES and not is_last:
            return
        self._last_line = now
        done = max(state.global_step - self._first_step, 1)
        left = (now - self._started) / done * (state.max_steps - state.global_step)
        note(f"{self._title}  step {state.global_step}/{state.max_steps}  {self._metrics}  {left:.0f} s left")
