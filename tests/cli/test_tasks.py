"""`rlkit tasks`: list, show, validate."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.tasks import TASKS

DATA = Path(__file__).resolve().parent.parent / "data" / "tasks"


def test_every_task_is_listed_with_a_line_about_it(capsys):
    assert main(["tasks", "list"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {*TASKS.builtins} <= {*rows}
    assert rows["gsm8k"].startswith("grade-school word problems")


def test_a_prompt_is_shown_with_its_gold_answer(capsys):
    words = ["tasks", "show", f"{{name: gsm8k, path: {DATA / 'gsm8k'}, system: Be brief.}}", "--row", "2"]
    assert main([*words, "--split", "train"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("gsm8k/train/1 (2 of 2)\n\n[system]\nBe brief.\n\n[user]\nA rope of 50 m")
    assert out.endswith("[gold]\n42\n")


def test_a_task_without_one_gold_answer_shows_its_columns(capsys):
    assert main(["tasks", "show", "countdown"]) == 0
    assert "\ntarget: " in capsys.readouterr().out


def test_validate_proves_a_task_file(capsys):
    assert main(["tasks", "validate", str(DATA / "capitals.yaml")]) == 0
    said = capsys.readouterr()
    assert said.out == "capitals: valid\n"
    assert "Read and checked: test 2." in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "countdwn"], "Did you mean 'countdown'?"),
        (["show", "countdown", "--row", "0"], "write a number from 1 to 200"),
        (["validate", "gone.yaml"], "The task file gone.yaml cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(capsys, words, said):
    assert main(["tasks", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
