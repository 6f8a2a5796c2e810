"""HumanEval and MBPP: rows in the published columns, and code judged by its tests in the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkit.errors import ConfigError
from rlkit.rewards import resolve_reward
from rlkit.tasks import resolve_task
from rlkit.tasks.code import assemble

DATA = Path(__file__).resolve().parent.parent / "data" / "tasks"
TASKS = {name: resolve_task({"name": name, "path": str(DATA / f"{name}.jsonl")}) for name in ("humaneval", "mbpp")}


@pytest.mark.parametrize("name", TASKS)
def test_gold_code_passes_and_empty_code_does_not(name):
    TASKS[name].validate()


@pytest.mark.parametrize(
    ("completion", "verdict"),
    [
        ("```python\ndef total(numbers: List[int]) -> int:\n    return sum(numbers)\n```", "correct"),
        ("    return sum(numbers)\n", "correct"),
        ("```python\ndef total(numbers):\n    return 6\n```", "wrong_answer"),
        ("", "no_code"),
    ],
)
def test_whole_functions_and_continuations_are_judged(completion, verdict):
    task = TASKS["humaneval"]
    grade = task.grade(completion, task.load("test")[0])
    assert (grade.label, grade.correct) == (verdict, verdict == "correct")


def test_a_block_that_defines_the_function_keeps_the_imports_before_it():
    assert assemble("```python\ndef f(): ...\n```", "import re\ndef f():\n    '''x'''\n", "f").startswith("import re")
    assert assemble("    return 1", "def f():\n", "f") == "def f():\n    return 1"


def test_the_reward_pays_what_passes():
    task = TASKS["mbpp"]
    row = task.load("test")[0]
    columns = {key: [row[key]] * 2 for key in ("tests", "entry_point", "beginning", "prelude", "gold")}
    texts = ["```python\ndef double(x):\n    return x + x\n```", "```python\ndef double(x):\n    return x\n```"]
    reward = resolve_reward(task.default_rewards[0])
    assert reward(texts, prompts=[row["prompt"]] * 2, **columns) == [1.0, 0.0]
    assert "assert double(2) == 4" in row["prompt"][0]["content"]


def test_plain_humaneval_is_the_beginning_itself():
    task = resolve_task({"name": "humaneval", "path": str(DATA / "humaneval.jsonl"), "format": "plain"})
    assert task.load("test")[0]["prompt"].startswith("from typing import List")


def test_other_splits_are_refused():
    with pytest.raises(ConfigError, match="humaneval has no split 'train'"):
        TASKS["humaneval"].load("train")
    with pytest.raises(ConfigError, match="one file, which is the split 'test'"):
        TASKS["mbpp"].load("train")


def test_many_programs_are_graded_as_each_alone():
    task, other = TASKS["mbpp"], TASKS["humaneval"].load("test")[0]
    row = task.load("test")[0]
    texts = [f"```python\n{row['gold']}\n```", "no code", f"```python\n{row['gold']}\n```"] * 2
    rows = [row] * 3 + [other] * 3
    together = task.grade_all(texts, rows)
    assert together == [task.grade(text, each) for text, each in zip(texts, rows, strict=True)]
    assert [grade.correct for grade in together] == [True, False, True, False, False, False]
