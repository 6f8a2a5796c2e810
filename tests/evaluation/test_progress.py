"""Progress off a terminal: plain lines on standard error, with speed and time left."""

from __future__ import annotations

import pytest

from rlkit.evaluation import progress
from rlkit.evaluation.progress import SamplingProgress


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(progress, "note", lines.append)
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    return lines


def test_lines_tell_count_speed_and_time_left(said: list[str]) -> None:
    with SamplingProgress("base", total=2000, done=1000) as bar:
        bar.advance(250, 5000)
    assert said[0] == "base: 2,000 samples, 1,000 of them already there"
    assert said[1].startswith("base: 1,250 of 2,000 samples, ")
    assert "tokens/s" in said[1]
    assert said[1].endswith(" left")
    assert "done in " in said[-1]


def test_nothing_is_called_done_after_an_error(said: list[str]) -> None:
    with pytest.raises(RuntimeError), SamplingProgress("base", total=10):
        raise RuntimeError
    assert not any("done in" in line for line in said)
