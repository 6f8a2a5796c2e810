from __future__ import annotations

import json

import pytest

from rlkit.cli import main
from tests.report.evaluations import BASE, GRPO, write_evaluation, write_run


@pytest.fixture
def folders(tmp_path):
    return [str(write_evaluation(tmp_path / "base", BASE)), str(write_run(tmp_path / "grpo", GRPO))]


def test_the_report_is_written_and_its_table_printed(folders, tmp_path, capsys):
    output = tmp_path / "out" / "report.html"
    assert main(["report", *folders, "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "base and grpo on 12 problems of countdown" in out
    assert "pass@1" in out
    assert str(output) in out
    assert json.loads(output.with_suffix(".json").read_text())["reference"] == "base"
    assert output.with_suffix(".md").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere", "--output", "r.html"], "nowhere is not a directory"),
        (["--output", "r.html"], "DIR"),
        (["nowhere"], "--output"),
        (["nowhere", "--output", "r.txt"], "does not end in .html"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_evaluations_of_different_tasks_are_refused(folders, tmp_path, capsys):
    other = str(write_evaluation(tmp_path / "other", GRPO, name="other", task="gsm8k"))
    assert main(["report", folders[0], other, "--output", str(tmp_path / "r.html")]) == 2
    assert "other was evaluated on task 'gsm8k'" in capsys.readouterr().err
