"""Run several commands side by side, each lane one after the other, and show how far every lane is.

Small models leave cores idle: two single-threaded runs side by side finish sooner than the same two in turn with two
threads each. Commands are child processes; their words go to a log file, and their progress is read from the files they
write, so one tidy bar a lane is all a person sees. A command ends with the program that runs its lane, a kill included.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rlkit.errors import RlkitError
from rlkit.terminal import console, note

_STARTER = Path(__file__).with_name("lane_main.py")
_POLL_SECONDS = 0.5
_SECONDS_BETWEEN_LINES = 20.0
"""How often progress is said when there is no terminal to draw a bar on."""


class LaneError(RlkitError, RuntimeError):
    """A command of a lane failed; the sentence names its log."""


@dataclass(frozen=True)
class Stage:
    """One command of a lane."""

    title: str
    """What a person reads beside the bar, e.g. `grpo: training`."""
    command: Sequence[str]
    log: Path
    """Where standard output and error go."""
    total: int
    """How many units of progress there are."""
    count_done: Callable[[], int]
    """Reads how many are done."""
    unit: str
    """What is counted, e.g. `steps`."""


def run_lanes(lanes: Sequence[Sequence[Stage]], num_workers: int, num_threads: int) -> None:
    """Run every lane; lanes side by side, the stages of one lane in turn.

    Args:
        lanes: stages of each lane, in order.
        num_workers: how many lanes run at once.
        num_threads: OpenMP threads each command gets.

    Raises:
        LaneError: a command failed; the other lanes are interrupted first.
        KeyboardInterrupt: passed on after every running command has been interrupted and has ended.
    """
    runner = _Runner(num_threads)
    with runner.progress, ThreadPoolExecutor(num_workers) as pool:
        futures = [pool.submit(runner.run_lane, stages) for stages in lanes if stages]
        try:
            while not all(future.done() for future in futures) and not runner.failure:
                time.sleep(_POLL_SECONDS / 2)
        except KeyboardInterrupt:
            note("Interrupted; waiting for the running commands to save what they have.")
            runner.stop()
            raise
        if runner.failure:
            runner.stop()
        for future in futures:
            future.result()
    if runner.failure:
        raise runner.failure


class _Runner:
    def __init__(self, num_threads: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.failure: LaneError | None = None
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console(),
            disable=not console().is_terminal,
        )
        self._environment = os.environ | {"OMP_NUM_THREADS": str(num_threads), "OMP_WAIT_POLICY": "PASSIVE"}
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Interrupt every running command and start no other."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.send_signal(signal.SIGINT)

    def run_lane(self, stages: Sequence[Stage]) -> None:
        for stage in stages:
            if self._stopped or self.failure:
                return
            code = self._run_stage(stage)
            if code and not self._stopped:
                self.failure = LaneError(
                    f"{stage.title} failed with exit code {code}: {_last_line(stage.log)} ({stage.log})"
                )

    def _run_stage(self, stage: Stage) -> int:
        stage.log.parent.mkdir(parents=True, exist_ok=True)
        bar = self.progress.add_task(stage.title, total=stage.total, unit=stage.unit)
        with stage.log.open("w") as log:
            process = self._start(stage, log)
            said = time.monotonic()
            while process is not None and process.poll() is None:
                time.sleep(_POLL_SECONDS)
                done = stage.count_done()
                self.progress.update(bar, completed=done)
                if self.progress.disable and time.monotonic() - said > _SECONDS_BETWEEN_LINES:
                    said = time.monotonic()
                    note(f"{stage.title}: {done} of {stage.total} {stage.unit}")
        if process is None:
            return 0
        with self._lock:
            self._running.discard(process)
        if process.returncode == 0:
            self.progress.update(bar, completed=stage.total)
            if self.progress.disable:
                note(f"{stage.title}: done")
        return process.returncode

    def _start(self, stage: Stage, log: IO[str]) -> subprocess.Popen | None:
        with self._lock:
            if self._stopped:
                return None
            # A session of its own: Ctrl-C reaches the child once, from `stop`, not a second time from the terminal.
            command = [sys.executable, "-P", str(_STARTER), str(os.getpid()), *stage.command]
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=self._environment, start_new_session=True
            )
            self._running.add(process)
            return process


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def count_lines(path: Path) -> int:
    """Return the number of complete lines in a file; 0 when it does not exist."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
