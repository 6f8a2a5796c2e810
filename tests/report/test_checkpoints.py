"""Checkpoints of one run in one report: a fall at large k is said, noise and recovery are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlkit.cli import main
from rlkit.report import build_report
from rlkit.report.checkpoints import find_drops
from rlkit.report.load import Run
from rlkit.report.page import to_html
from tests.report.evaluations import BASE, write_evaluation


def checkpoint(step: int, value: float | None, run: str = "runs/x") -> Run:
    cells: dict[str, Any] = {"1": {"value": 0.5}, "64": {"value": value}}
    report = {"model": f"{run}/checkpoint-{step}", "pass_at_k": cells}
    return Run(f"s{step}", Path("x"), report)


def series(*values: float | None, run: str = "runs/x") -> list[Run]:
    return [checkpoint(10 * (at + 1), value, run) for at, value in enumerate(values)]


@pytest.mark.parametrize(
    "values", [(), (0.8,), (0.5, 0.6, 0.7, 0.8), (0.8, 0.79, 0.8, 0.79), (0.8, 0.6, 0.6, 0.9, 0.9, 0.9)]
)
def test_rise_noise_and_recovery_are_silent(values: tuple[float, ...]) -> None:
    assert find_drops(series(*values)) == []


def test_a_fall_is_dated_whatever_the_order_and_the_other_runs() -> None:
    falling = series(0.7, 0.8, 0.82, 0.7, 0.65, 0.6)
    others = series(0.5, 0.6, 0.7, run="runs/y")
    base = Run("base", Path("b"), {"model": "base", "pass_at_k": {"64": {"value": 0.9}}})
    (said,) = find_drops([base, *falling[::-1], *others])
    assert said.startswith("pass@64 of runs/x began to fall at step 40: the moving average over its 6 checkpoints")


def test_a_missing_value_is_no_evidence() -> None:
    assert find_drops(series(0.8, None, None, 0.8)) == []
    (said,) = find_drops(series(0.8, 0.6, None, 0.6, 0.6))
    assert "at step 20" in said


def test_page_and_terminal_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = []
    for step, value in ((10, 0.9), (20, 0.7), (30, 0.6), (40, 0.5)):
        cell = {"value": value, "low": value - 0.1, "high": value + 0.1, "num_defined": 12, "num_total": 12}
        cells = {str(k): cell for k in range(1, 9)}
        changes = {"model": f"runs/x/checkpoint-{step}", "pass_at_k": cells, "name": f"s{step}"}
        folders.append(write_evaluation(tmp_path / f"s{step}", BASE, n=8, seed=step, **changes))
    sentence = "pass@8 of runs/x began to fall at step 20"
    assert sentence in to_html(build_report(folders))
    assert main(["report", *map(str, folders), "--output", str(tmp_path / "r.html")]) == 0
    assert sentence in " ".join(capsys.readouterr().out.split())
    assert sentence in (tmp_path / "r.md").read_text()
