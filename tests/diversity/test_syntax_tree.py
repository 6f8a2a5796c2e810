"""Programs in completions: which are read, which are the same, and what has none."""

from __future__ import annotations

import json

import pytest

from rlkit.cli import main
from rlkit.diversity import NO_ANSWER, SyntaxTree, resolve_partition
from rlkit.diversity.text_partition import TRUNCATED_CLASS
from rlkit.errors import ConfigError
from rlkit.tasks import resolve_task
from rlkit.verifiers.normalisation import EMPTY_CLASS

SUM = "def total(numbers):\n    return sum(numbers)\n"
RENAMED = "def add_up(xs):\n    # the built-in does it\n    return (sum(xs))\n"
LOOP = "def total(numbers):\n    answer = 0\n    for each in numbers:\n        answer += each\n    return answer\n"


OTHER = "def other(x):\n    return x\n"


def fence(code, before="Here you are:"):
    return f"{before}\n\n```python\n{code}```\nIt is fast."


def labels(spec, *texts, **columns):
    partition = resolve_partition(spec)
    return partition.labels(partition.features(list(texts), **columns)).tolist()


def test_names_comments_and_what_stands_around_the_program_do_not_matter():
    texts = [
        SUM,
        fence(SUM),
        fence(RENAMED, "Another way:"),
        fence(LOOP),
        LOOP,
        f"<think>\n{LOOP}</think>\n{fence(SUM)}",
    ]
    assert labels("syntax_tree", *texts) == [0, 0, 0, 1, 1, 0]
    assert labels({"name": "syntax_tree", "keep_names": True}, *texts) == [0, 0, 1, 2, 2, 0]


def test_the_block_that_defines_the_entry_point_is_the_program_as_for_the_reward():
    text = f"{fence(SUM)}\n\n{fence(OTHER, 'Beside it:')}"
    alone = SyntaxTree().features([SUM])
    assert SyntaxTree().features([text], entry_point=["total"]) == alone
    assert SyntaxTree().features([text]) != alone
    tried = fence(f"{SUM}\nprint(total([1]))\nassert total([]) == 0\n")
    assert SyntaxTree().features([tried], entry_point=["total"]) == alone
    assert SyntaxTree().features([tried], entry_point=[None]) != alone


def test_a_continuation_is_the_same_as_the_whole_function():
    beginning = 'from typing import List\n\n\ndef total(numbers: List[int]) -> int:\n    """Sum."""\n'
    columns = {"beginning": [beginning] * 3, "entry_point": ["total"] * 3}
    assert labels(
        "syntax_tree", "    return sum(numbers)\n", fence(RENAMED.replace("add_up", "total")), LOOP, **columns
    ) == [
        0,
        0,
        1,
    ]


def test_what_holds_no_program_is_one_class_of_its_own():
    texts = ["I do not know.", "```text\nno code\n```", fence("def f(:\n"), "", SUM]
    features = SyntaxTree().features(texts)
    assert features[:4] == [NO_ANSWER, NO_ANSWER, NO_ANSWER, EMPTY_CLASS]
    assert labels("syntax_tree", *texts) == [0, 0, 0, 1, 2]


def test_a_program_that_was_closed_before_the_text_was_cut_off_is_compared():
    half = "```python\ndef total(numbers):\n    return sum(numbers"
    texts = [fence(SUM), half, SUM, f"{fence(SUM)}\n\n{half}"]
    features = SyntaxTree().features(texts, truncated=[True] * 4)
    assert features == [*SyntaxTree().features([SUM]), *[TRUNCATED_CLASS] * 3]
    assert SyntaxTree(truncated="compare").features([half], truncated=[True]) == [NO_ANSWER]


def test_a_variable_called_answer_does_not_end_the_program():
    longer = LOOP.replace("answer += each", "answer += 2 * each")
    assert labels("syntax_tree", LOOP, longer) == [0, 1]


@pytest.mark.parametrize("columns", [{"beginning": [3], "entry_point": [["total"]]}, {"entry_point": [""]}])
def test_columns_of_other_data_are_passed_over(columns):
    assert SyntaxTree().features([SUM], **columns) == SyntaxTree().features([SUM])


def test_keep_names_is_true_or_false():
    with pytest.raises(ConfigError, match="keep_names"):
        resolve_partition({"name": "syntax_tree", "keep_names": "yes"})


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_tasks_of_code_tell_solutions_apart_by_it(name):
    assert resolve_task(name).default_partition == "syntax_tree"


def test_agreement_counts_texts_without_a_program(tmp_path, capsys):
    pairs = [(SUM, RENAMED, True), (SUM, LOOP, False), ("no code here", LOOP, False)]
    lines = [json.dumps({"a": a, "b": b, "same": same}) for a, b, same in pairs]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    assert main(["partition", "agree", "syntax_tree", str(tmp_path / "pairs.jsonl"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["accuracy"]["value"] == 1.0
    assert "1 of 4 texts have no program that Python can read; all of those are one class." in err
