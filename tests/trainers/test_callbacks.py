"""The log of a run, and when a signal may end it."""

from __future__ import annotations

import json
import signal
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState

from rlkit.runs import RunDirectory
from rlkit.trainers import callbacks
from rlkit.trainers.callbacks import RunLog, SaveByTheClock, StopOnSignal


def arguments(**changes):
    values = {"steps_per_generation": 1, "num_iterations": 1, "gradient_accumulation_steps": 1, "world_size": 1}
    return SimpleNamespace(**(values | changes))


def stopping_steps(stop, steps, max_steps=100, **changes):
    """Return at which of the steps the callback asks for a checkpoint and the end."""
    asked = []
    for step in steps:
        control = TrainerControl()
        stop.on_step_end(arguments(**changes), TrainerState(global_step=step, max_steps=max_steps), control)
        assert control.should_save == control.should_training_stop
        asked += [step] if control.should_training_stop else []
    return asked


def test_nothing_stops_without_a_signal():
    stop = StopOnSignal()
    assert stopping_steps(stop, range(1, 10)) == []
    assert not stop.stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_step_and_handlers_are_put_back(number):
    before = signal.getsignal(number)
    with StopOnSignal() as stop:
        signal.raise_signal(number)
        assert stopping_steps(stop, [4]) == [4]
    assert stop.stopped
    assert signal.getsignal(number) == before


def test_a_run_stops_only_where_a_generation_batch_ends():
    with StopOnSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        shape = {"steps_per_generation": 4, "num_iterations": 2, "gradient_accumulation_steps": 2}
        assert stopping_steps(stop, range(1, 13), **shape) == [4, 8, 12]


def test_a_signal_in_the_last_step_lets_the_run_finish():
    with StopOnSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stopping_steps(stop, [10], max_steps=10) == []
    assert not stop.stopped


def test_two_signals_close_together_are_one_and_later_ones_quit(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    with StopOnSignal():
        signal.raise_signal(signal.SIGINT)
        now[0] += 0.5
        signal.raise_signal(signal.SIGINT)
        now[0] += 1.0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_checkpoint_is_asked_for_every_half_hour_where_a_generation_batch_ends(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    clock, saved = SaveByTheClock(), []
    for step in range(1, 13):
        now[0] += 1000.0
        control = TrainerControl()
        clock.on_step_end(arguments(steps_per_generation=2), TrainerState(global_step=step), control)
        saved += [step] * control.should_save
    # Due after 1800 s, and then at the next even step.
    assert saved == [2, 4, 6, 8, 10, 12]
    assert not _saves_within(1700.0, now, clock)


def _saves_within(seconds, now, clock):
    now[0] += seconds
    control = TrainerControl()
    clock.on_step_end(arguments(), TrainerState(global_step=14), control)
    return control.should_save


def test_the_log_has_one_line_a_step_and_not_the_summary_of_the_end(tmp_path):
    log = RunLog(RunDirectory(tmp_path))
    state = TrainerState(global_step=3, max_steps=9, is_world_process_zero=True)
    log.on_log(None, state, None, logs={"reward": 0.5, "diversity/distinct": float("nan")})
    log.on_log(None, state, None, logs={"train_runtime": 12.0})
    assert json.loads((tmp_path / "train_log.jsonl").read_text()) == {
        "step": 3,
        "reward": 0.5,
        "diversity/distinct": None,
    }
    assert {key: RunDirectory(tmp_path).read_state()[key] for key in ("step", "max_steps")} == {
        "step": 3,
        "max_steps": 9,
    }


def test_other_ranks_write_nothing(tmp_path):
    log = RunLog(RunDirectory(tmp_path))
    log.on_log(None, TrainerState(global_step=3, is_world_process_zero=False), None, logs={"reward": 0.5})
    assert list(tmp_path.iterdir()) == []
