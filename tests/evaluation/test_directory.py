"""Reports that were damaged by hand are refused in one sentence that names the place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.errors import StoreError
from rlkit.evaluation import read_report
from tests.evaluation.simulated import simulate_report

GOOD = simulate_report("base", np.full(3, 0.5), 8, 0)


def damaged(**changes: Any) -> dict[str, Any]:
    """Return a report whose second problem was changed."""
    report = copy.deepcopy(GOOD)
    report["problems"][1].update(changes)
    return report


@pytest.mark.parametrize(
    ("report", "fault"),
    [
        ({**GOOD, "n": "8"}, "n is '8', not a number of samples"),
        ({**GOOD, "n": 0}, "n is 0"),
        ({**GOOD, "sampling": None}, "sampling is not an object"),
        ({**GOOD, "problems": {}}, "problems is not a list"),
        ({**GOOD, "problems": []}, "problems is not a list of problems"),
        ({**GOOD, "problems": ["p0"]}, "problem 0 is not an object"),
        ({**GOOD, "problems": GOOD["problems"] * 2}, "the id 'p0' is there twice"),
        (damaged(id=3), "problem 1 has the id 3, not a text"),
        (damaged(num_correct=9), "problem 1 has more correct samples than samples"),
        (damaged(num_correct=2.5), "problem 1 has num_correct 2.5, not a count"),
        (damaged(num_samples=-1), "problem 1 has num_samples -1, not a count"),
        (damaged(num_samples=True), "problem 1 has num_samples True"),
        (damaged(answer_entropy="high"), "problem 1 has answer_entropy 'high', not a number"),
        (damaged(classes={"a": "many"}), "problem 1 has classes that are not counts"),
        (damaged(classes={"a": 9}), "problem 1 has more correct samples"),
        (damaged(diversity=[1]), "problem 1 has a diversity that is not an object"),
        (damaged(diversity={"all": {"vendi": "x"}}), "problem 1 has a diversity of all outputs"),
    ],
)
def test_damage_is_named(tmp_path: Path, report: dict[str, Any], fault: str) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(StoreError) as refused:
        read_report(tmp_path)
    assert fault in str(refused.value)
    assert "run rlkit eval again" in str(refused.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    report = copy.deepcopy(GOOD)
    del report["problems"][2]["num_tokens"]
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(StoreError, match="problem 2 has no 'num_tokens'"):
        read_report(tmp_path)


def test_unknown_numbers_and_varieties_are_no_damage(tmp_path: Path) -> None:
    fine = damaged(
        token_entropy=None, num_solutions=None, diversity={"all": {"vendi": 1.5}, "correct": {"vendi": None}}
    )
    (tmp_path / "report.json").write_text(json.dumps(fine))
    assert read_report(tmp_path) == fine


def test_names_of_older_versions_are_read_as_todays(tmp_path: Path) -> None:
    old = damaged(variety={"all": {"vendi": 1.5}, "correct": {}})
    old["variety"] = {"all": {"vendi": {"value": 1.5}}}
    for problem in old["problems"]:
        problem["verdicts"] = {**problem.pop("labels"), "wrong": 2}
    (tmp_path / "report.json").write_text(json.dumps(old))
    report = read_report(tmp_path)
    assert report["diversity"] == {"all": {"vendi": {"value": 1.5}}}
    assert report["problems"][1]["diversity"] == {"all": {"vendi": 1.5}, "correct": {}}
    assert [problem["labels"]["wrong"] for problem in report["problems"]] == [2, 2, 2]
    assert "variety" not in report


def test_an_evaluation_is_found_in_a_run_whatever_else_lies_there(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "report.json").write_text(json.dumps(GOOD))
    # The JSON beside a page of `rlkit report`.
    (tmp_path / "report.json").write_text(json.dumps({"reference": "base", "runs": []}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert read_report(tmp_path) == GOOD
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="holds no evaluation"):
        read_report(tmp_path / "empty")
