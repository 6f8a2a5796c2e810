"""What a person sees while samples are drawn: speed and time left, as a bar or, off a terminal, as lines."""

from __future__ import annotations

import time
from types import TracebackType

from rlkit.terminal import console, note, show_controls

_SECONDS_BETWEEN_LINES = 15.0


class SamplingProgress:
    """Counts samples and tokens on standard error; a context manager."""

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self._title, self._total, self._done, self._already = title, total, done, done
        self._tokens = 0
        # Set by the first batch: the time before it went into loading the model, and says nothing of what is to come.
        self._first: tuple[float, int, int] | None = None
        self._bar = _bar() if console().is_terminal else None

    def __enter__(self) -> SamplingProgress:
        """Start the clock and show the bar, or say what begins."""
        self._started = self._last_line = time.monotonic()
        if self._bar is not None:
            title = show_controls(self._title)
            self._task = self._bar.add_task(title, total=self._total, completed=self._done, speed="")
            self._bar.start()
        else:
            already = f", {self._done:,} of them already there" if self._done else ""
            note(f"{self._title}: {self._total:,} samples{already}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the bar down; without one, say how long it took."""
        if self._bar is not None:
            self._bar.stop()
        elif error is None:
            note(f"{self._title}: {self._count()}, {self._speed()}, done in {_clock(self._elapsed())}")

    def advance(self, num_samples: int, num_tokens: int) -> None:
        """Count a finished batch."""
        self._done = min(self._total, self._done + num_samples)
        self._tokens += num_tokens
        if self._first is None:
            self._first = (time.monotonic(), self._done, self._tokens)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, speed=self._speed())
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES and self._done < self._total:
            self._last_line = time.monotonic()
            note(f"{self._title}: {self._count()}, {self._speed()}, {_clock(self._left())} left")

    def _count(self) -> str:
        return f"{self._done:,} of {self._total:,} samples"

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _rates(self) -> tuple[float, float]:
        """Return samples and tokens a second, since the first batch where there was a second one."""
        began, done, tokens = self._first or (self._started, self._already, 0)
        if done == self._done:
            began, done, tokens = self._started, self._already, 0
        seconds = max(1e-9, time.monotonic() - began)
        return (self._done - done) / seconds, (self._tokens - tokens) / seconds

    def _left(self) -> float:
        return (self._total - self._done) / max(1e-9, self._rates()[0])

    def _speed(self) -> str:
        return f"{self._rates()[1]:,.0f} tokens/s"


class MeasuringProgress:
    """Counts problems of which the samples are measured, on standard error; a context manager."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._bar = _bar(transient=True) if console().is_terminal else None

    def __enter__(self) -> MeasuringProgress:
        """Start the clock and show the bar; without one, what is soon done is done in silence."""
        self._started = self._last_line = time.monotonic()
        if self._bar is not None:
            title = f"{show_controls(self._title)}: measuring"
            self._task = self._bar.add_task(title, total=self._total, speed="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """Count a problem."""
        self._done += 1
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif now - self._last_line > _SECONDS_BETWEEN_LINES and self._done < self._total:
            self._last_line = now
            left = _clock((now - self._started) / self._done * (self._total - self._done))
            note(f"{self._title}: {self._done:,} of {self._total:,} problems measured, {left} left")


def _bar(transient: bool = False):  # type: ignore[no-untyped-def]  # rich is imported here, for it takes a while
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console(),
        transient=transient,
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
