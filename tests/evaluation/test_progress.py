"""Progress off a terminal: plain lines on standard error, with speed and time left."""

from __future__ import annotations

import pytest

from rlkit.evaluation import progress
from rlkit.evaluation.progress import MeasuringProgress, SamplingProgress


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(progress, "note", lines.append)
    return lines


def test_lines_tell_count_speed_and_time_left(said: list[str], clock: Clock) -> None:
    with SamplingProgress("base", total=2000, done=1000) as bar:
        clock.now = 100.0  # a long time to load, which no later batch needs again
        bar.advance(250, 5000)
        clock.now = 120.0
        bar.advance(250, 4000)
        clock.now = 160.0
        bar.advance(500, 8000)
    assert said == [
        "base: 2,000 samples, 1,000 of them already there",
        "base: 1,250 of 2,000 samples, 50 tokens/s, 5:00 left",
        "base: 1,500 of 2,000 samples, 200 tokens/s, 0:40 left",
        "base: 2,000 of 2,000 samples, 200 tokens/s, done in 2:40",
    ]


def test_nothing_is_called_done_after_an_error(said: list[str], clock: Clock) -> None:
    with pytest.raises(RuntimeError), SamplingProgress("base", total=10):
        raise RuntimeError
    assert not any("done in" in line for line in said)


def test_measuring_is_silent_until_it_takes_long(said: list[str], clock: Clock) -> None:
    with MeasuringProgress("base", 400) as bar:
        for at in range(400):
            clock.now = 0.1 * (at + 1)
            bar.advance()
    assert said == [
        "base: 151 of 400 problems measured, 0:25 left",
        "base: 302 of 400 problems measured, 0:10 left",
    ]
