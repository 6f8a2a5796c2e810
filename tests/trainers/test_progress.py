"""What is shown of a running training, on a terminal and off one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from transformers import TrainerState

from rlkit.trainers import progress

LOGS = {"reward": 0.391, "entropy": 0.436, "kl": 0.02, "diversity/distinct_correct": 2.5, "loss": 0.1}


def show(monkeypatch, terminal, is_first=True, first_step=0, steps=60):
    """Return what a run of `steps` steps writes to an 80-column console."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=80, soft_wrap=True)
    monkeypatch.setattr(progress, "console", lambda: console)
    monkeypatch.setattr(progress, "note", lambda line: written.write(line + "\n"))
    state = TrainerState(global_step=first_step, max_steps=steps, is_world_process_zero=is_first)
    display = progress.ProgressDisplay("runs/countdown/darling")
    display.on_train_begin(None, state, None)
    for step in range(first_step + 1, steps + 1):
        state.global_step = step
        display.on_step_end(None, state, None)
        display.on_log(None, state, None, logs=LOGS)
    display.on_log(None, state, None, logs={"train_runtime": 3.0})
    display.on_train_end(None, state, None)
    display.close()
    return written.getvalue()


def test_the_numbers_fit_on_eighty_columns(monkeypatch):
    frames = show(monkeypatch, terminal=True).splitlines()
    last = next(frame for frame in reversed(frames) if "60/60" in frame)
    for part in ("darling", "60/60", "reward", "0.39", "entropy", "0.44", "KL", "0.02", "distinct", "2.50"):
        assert part in last
    assert "…" not in last


def test_without_a_terminal_there_are_a_few_lines_and_always_the_last(monkeypatch):
    assert show(monkeypatch, terminal=False).splitlines() == [
        "runs/countdown/darling  step 60/60  reward 0.39  entropy 0.44  KL 0.02  distinct correct 2.50  0 s left"
    ]


def test_time_left_counts_only_the_steps_of_this_session(monkeypatch):
    clock = iter(range(0, 100_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    lines = show(monkeypatch, terminal=False, first_step=50, steps=60).splitlines()
    assert len(lines) == 10
    assert [int(line.split("  ")[-1].split(" ")[0]) for line in lines] == sorted(
        (int(line.split("  ")[-1].split(" ")[0]) for line in lines), reverse=True
    )
    assert lines[-1].endswith("0 s left")


@pytest.mark.parametrize("terminal", [True, False])
def test_other_ranks_are_silent(monkeypatch, terminal):
    assert show(monkeypatch, terminal, is_first=False) == ""
