"""HumanEval and MBPP: rows in the published columns, and code judged by its tests in the sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlkit.errors import ConfigError, RewardError
from rlkit.rewards import resolve_reward
from rlkit.tasks import resolve_task
from rlkit.verifiers.code_program import assemble

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


def test_a_folder_is_validated_as_far_as_it_goes(tmp_path):
    rows = (DATA / "mbpp.jsonl").read_text()
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(rows)
    resolve_task({"name": "mbpp", "path": str(tmp_path)}).validate()
    (tmp_path / "train.jsonl").write_text(rows.replace("2 * x", "3 * x"))
    with pytest.raises(RewardError, match="mbpp/1"):
        resolve_task({"name": "mbpp", "path": str(tmp_path)}).validate()


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


def write_rows(tmp_path, **row):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return str(path)


_NODE = "class Node:\n    def __init__(self, data):\n        self.data, self.left = data, None\n"
_PAIR = "class Pair:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n"
MBPP = {
    # A function called like a built-in one, an import that only the solution has, and classes that tests set up.
    "built-in": ("def sum(a, b):\n    return a + b", ["assert sum(1, 2) == 3"], "", "def sum(a, b):\n    return 4"),
    "import": (
        "import sys\ndef size(x):\n    return sys.getsizeof(x)",
        ["assert size(1) == sys.getsizeof(1)"],
        "",
        "def size(x):\n    return 1",
    ),
    "class": (
        _NODE + "def value(root):\n    return root.left.data",
        ["assert value(root) == 2"],
        "root = Node(1)\nroot.left = Node(2)",
        "def value(root):\n    return 2",
    ),
    "objects": (
        _PAIR + "def longest(pairs, n):\n    return max(p.b - p.a for p in pairs)",
        ["assert longest([Pair(5, 24), Pair(15, 25)], 2) == 19"],
        "",
        "def longest(pairs, n):\n    return 19",
    ),
}


@pytest.mark.parametrize("name", MBPP)
def test_gold_code_of_every_kind_passes_and_wrong_code_does_not(name, tmp_path):
    gold, tests, setup, wrong = MBPP[name]
    row = {"task_id": 1, "text": "Write it.", "code": gold, "test_list": tests, "test_setup_code": setup}
    task = resolve_task({"name": "mbpp", "path": write_rows(tmp_path, **row)})
    task.validate()
    (loaded,) = task.load("test")
    assert task.grade(f"```python\n{wrong}\n```", loaded).correct is False


def test_a_built_in_that_the_solution_replaces_is_not_what_the_tests_call(tmp_path):
    tests = ["assert sum(add([1]) for _ in 'ab') == 2"]
    row = {"task_id": 1, "text": "Add.", "code": "def add(a):\n    return sum(a)", "test_list": tests}
    task = resolve_task({"name": "mbpp", "path": write_rows(tmp_path, **row)})
    (loaded,) = task.load("test")
    assert task.grade("def add(a):\n    return 5\ndef sum(a):\n    return 2", loaded).correct is False
    assert task.grade("def add(a):\n    return a[0]", loaded).correct is True


def test_helpers_of_the_prompt_are_the_prompts(tmp_path):
    row = {
        "task_id": "HumanEval/38",
        "prompt": "def wrap(s):\n    return '<' + s + '>'\n\ndef unwrap(s):\n    '''Undo wrap.'''\n",
        "canonical_solution": "    return s[1:-1]\n",
        "test": "def check(candidate):\n    assert candidate(wrap('a')) == 'a'\n",
        "entry_point": "unwrap",
    }
    task = resolve_task({"name": "humaneval", "path": write_rows(tmp_path, **row)})
    task.validate()
    (loaded,) = task.load("test")
    assert task.grade("def wrap(s):\n    return s\n\ndef unwrap(s):\n    return s", loaded).correct is False
    assert task.grade("```python\ndef wrap(s): return s\n\ndef unwrap(s): return s[1:-1]\n```", loaded).correct is True
