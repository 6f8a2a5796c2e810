"""Tasks of somebody's own at the door: rows, ids and grades that are not what they must be are said in a sentence."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rlkit.cli import main
from rlkit.errors import ConfigError, PluginError, RewardError
from rlkit.tasks import proving, resolve_task
from rlkit.tasks.grade_reward import grade_reward
from rlkit.tasks.proving import prove_task, try_rows
from rlkit.tasks.rows import load_rows
from rlkit.types import Grade


class Own:
    """A task that can be wrong in any way."""

    name = "own"

    def __init__(self, rows: Any = None, grade: Any = None) -> None:
        self.rows = rows or [{"id": "1", "prompt": "2?", "gold": "2"}]
        self.judge = grade or (lambda completion, row: Grade(completion == row["gold"], "correct"))

    def load(self, split: str) -> Any:
        if split != "test":
            raise ValueError(f"no {split} here")
        return self.rows

    def grade(self, completion: str, row: dict[str, Any]) -> Grade:
        return self.judge(completion, row)

    def validate(self) -> None:
        """Prove nothing."""


def test_a_task_that_keeps_its_contract_is_counted(capfd):
    assert prove_task(Own()) == {"test": 1}
    assert "own has no split 'train': ValueError: no train here (test_proving.py, line " in capfd.readouterr().err


def test_a_generator_is_read_to_its_end():
    assert len(load_rows(Own({"id": str(at), "prompt": "x"} for at in range(3)), "test")) == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "1"}], "Row 1 of own .test. has no 'prompt', but 'id'"),
        ([{"prompt": "x"}], "has no 'id'"),
        ([{"id": 1, "prompt": "x"}], "has the id 1; write a text"),
        ([{"id": "1", "prompt": 3}], "has the prompt 3; write a text, or a list of messages"),
        ([{"id": "1", "prompt": []}], "has the prompt"),
        ([{"id": "1", "prompt": [{"content": "x"}]}], "has the prompt"),
        ([{"id": "1", "prompt": "half \ud835 pair"}], r"half a surrogate pair, '.ud835' at character 6"),
        ([{"id": "1", "prompt": [{"role": "user", "content": "\udc00"}]}], "half a surrogate pair"),
        ([{"id": "\ud800", "prompt": "x"}], "The id of row 1 .*half a surrogate pair"),
        (["text"], "Row 1 of own .test. is 'text'; write a dict"),
        ([{"id": "1", "prompt": "x"}] * 2, "gives 2 problems the id '1'"),
        (iter(()), "has no problems"),
    ],
)
def test_rows_that_are_none_are_named(rows, said):
    with pytest.raises(ConfigError, match=said):
        load_rows(Own(rows), "test")


def test_a_load_that_fails_is_one_sentence_with_its_place():
    with pytest.raises(PluginError, match=r"load\('dev'\): ValueError: no dev here \(test_proving.py, line \d+\)"):
        load_rows(Own(), "dev")


@pytest.mark.parametrize(
    ("grade", "said"),
    [
        (lambda text, row: {"2": 1}[text], r"given '' for the problem '1', raises KeyError"),
        (lambda text, row: text == "2", "gives False; return rlkit.types.Grade"),
        (lambda text, row: Grade(1.0, "correct"), "gives Grade"),
        (lambda text, row: Grade(False, 3), "gives Grade"),
        (lambda text, row: Grade(bool(text.encode()), "x"), "UnicodeEncodeError"),
        (lambda text, row: Grade(float(text or 0) > 1e308, "x"), "ValueError"),
    ],
)
def test_grades_that_raise_or_are_none_are_found(grade, said):
    with pytest.raises(RewardError, match=said):
        prove_task(Own(grade=grade))


def test_a_problem_in_two_splits_is_found():
    task = Own()
    task.load = lambda split: [{"id": f"{split}/1", "prompt": "2?", "gold": "2"}]
    with pytest.raises(RewardError, match="'validation/1' is also in the split 'train'"):
        prove_task(task)


def test_what_is_not_tried_in_time_is_said(monkeypatch, capfd):
    monkeypatch.setattr(proving, "_SECONDS", -1.0)
    try_rows([{"id": "1"}] * 3, lambda rows: iter([("1", "it is wrong")]), "Gold answers")
    assert "Gold answers: 0 of 3 were tried in -1 seconds; the rest was only read." in capfd.readouterr().err


def test_the_grade_is_a_reward():
    reward = grade_reward(Own(grade=lambda text, row: Grade({"2": True, "?": None}.get(text, False), row["prompt"])))
    completions = ["2", [{"role": "assistant", "content": "3"}], "?"]
    assert reward(completions, prompts=["a", "b", "c"], gold=["2"] * 3, trainer_state=None) == [1.0, 0.0, None]


def test_validate_of_an_own_task_ends_in_a_sentence(tmp_path, capsys):
    (tmp_path / "own.py").write_text(
        "class Own:\n"
        "    name = 'own'\n"
        "    def load(self, split):\n        yield {'id': '1', 'question': 'x'}\n"
        "    def grade(self, completion, row): ...\n"
        "    def validate(self): ...\n"
    )
    assert main(["tasks", "validate", f"{tmp_path}/own.py:Own"]) == 2
    assert "Row 1 of own (train) has no 'prompt', but 'id', 'question'" in capsys.readouterr().err


def test_the_shipped_task_keeps_its_contract():
    counts = prove_task(resolve_task({"name": "countdown", "train_size": 50}))
    assert {*counts} == {"train", "validation", "test"}


OWN = """
import os, time
from rlkit.types import Grade

class Task:
    name = "mine"
    splits = ("test",)
    def load(self, split):
        {load}
        return [{{"id": "a", "prompt": "What?"}}]
    def grade(self, completion, row):
        {grade}
        return Grade(False, "wrong_answer")
    def validate(self):
        {validate}
"""


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize(
    ("place", "fault", "said"),
    [
        ("load", "while True: pass", "When its rows were loaded, the task did not come back in time and was ended."),
        ("validate", "time.sleep(600)", "When validate() was called, the task did not come back in time"),
        ("grade", "os._exit(0)", "When grade() was given '', the task ended the process that checks it"),
    ],
)
def test_a_task_that_hangs_or_ends_its_process_is_ended_from_outside(place, fault, said, tmp_path, capsys):
    bodies = {"load": "pass", "grade": "pass", "validate": "pass", place: fault}
    (tmp_path / "own.py").write_text(OWN.format(**bodies))
    started = time.monotonic()
    assert main(["tasks", "validate", f"{tmp_path}/own.py:Task", "--deadline", "5"]) == 2
    assert time.monotonic() - started < 20
    assert said in capsys.readouterr().err


def test_a_grade_that_takes_too_long_is_told_by_its_own_limit():
    said = []
    prove_task(Own(), lambda label, patience_s: said.append((label, patience_s)))
    assert said[0] == ("its rows were loaded", 1800.0)
    assert ("grade() was given ''", 60.0) in said
    assert said[-1] == ("validate() was called", 1800.0)
