"""`rlkit compare` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.evaluation import compare_runs
from tests.evaluation.test_comparison import A, B


@pytest.fixture
def directories(tmp_path: Path) -> list[str]:
    for name, report in (("base", A), ("run/eval", {**B, "engine": "vllm"})):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    return [str(tmp_path / "base"), str(tmp_path / "run")]


def test_the_table_holds_every_row_uncut(directories: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *directories]) == 0
    printed = capsys.readouterr().out
    cell = compare_runs(A, B)["pass_at_k"]["4"]
    assert "run minus base, 80 problems" in printed
    assert f"{cell['difference']:+.3f} [{cell['low']:+.3f}, {cell['high']:+.3f}]" in printed
    assert "<0.001" in printed
    assert "distinct correct" in printed
    assert "Note: engine differs: 'hf' and 'vllm'." in printed
    assert "…" not in printed


def test_json_is_the_whole_comparison(directories: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *directories, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == compare_runs(A, {**B, "engine": "vllm"})


def test_a_missing_report_is_one_sentence(directories: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", directories[0], directories[0] + "/nowhere"]) == 2
    assert "There is no report.json in" in capsys.readouterr().err
