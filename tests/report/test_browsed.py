from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlkit.report.browsed import MAX_CLASSES, collect_browsed, order_problems, problem_tags, read_classes, sample_kind
from rlkit.report.load import Run


def make_run(name: str, correct: dict[str, int], directory: Path = Path(), n: int = 4) -> Run:
    problems = [{"id": i, "prompt": f"prompt {i}", "num_samples": n, "num_correct": c} for i, c in correct.items()]
    return Run(name, directory, {"pass_at_k": {}, "problems": problems})


def sample(problem: str, correct: bool | None, text: str = "x", **more: Any) -> dict[str, Any]:
    label = "correct" if correct else "wrong_target"
    return {"prompt_id": problem, "sample": 0, "completion": text, "correct": correct, "label": label} | more


def write_samples(directory: Path, rows: list[dict[str, Any]], tail: str = "") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return directory


@pytest.mark.parametrize(
    ("rates", "tags"),
    [
        ([0.5, 0.0, 0.5], ["lost-1"]),
        ([0.0, 0.0, 0.25], ["gained-2"]),
        ([0.0, 0.0, 0.0], ["all-wrong"]),
        ([1.0, 1.0, 1.0], ["all-right"]),
        ([None, None, None], []),
        ([None, 0.0, 0.5], []),
        ([0.0, None, 0.0], ["all-wrong"]),
    ],
)
def test_a_problem_is_under_the_filters_that_its_shares_say(rates, tags):
    assert problem_tags(rates) == tags


def test_lost_and_gained_come_first_then_by_turns_changed_all_wrong_and_all_right():
    base = make_run("base", {"w1": 0, "w2": 0, "r1": 4, "same": 2, "moved": 1, "lost": 1, "gained": 0})
    run = make_run("run", {"w1": 0, "w2": 0, "r1": 4, "same": 2, "moved": 4, "lost": 0, "gained": 1})
    assert order_problems([base, run]) == ["lost", "gained", "moved", "w1", "r1", "w2", "same"]


@pytest.mark.parametrize(
    ("correct", "finish", "kind"),
    [
        (True, "length", "correct"),
        (True, "stop", "correct"),
        (False, "stop", "wrong"),
        (False, "length", "cut_off"),
        (None, "stop", "unscored"),
        (None, "length", "unscored"),
    ],
)
def test_cut_off_and_unscored_samples_are_told_from_wrong_ones(correct, finish, kind):
    assert sample_kind({"correct": correct, "finish_reason": finish}) == kind


def test_samples_group_by_class_and_older_stores_by_answer(tmp_path):
    rows = [
        sample("p", True, "first", **{"class": "A", "answer": "1"}),
        sample("p", True, "second", **{"class": "A", "answer": "2"}),
        sample("p", True, "third", answer="1", finish_reason="length"),
        sample("p", False, "bad"),
        sample("p", None, "crashed", label="error"),
        sample("q", True, "another"),
    ]
    path = write_samples(tmp_path, rows, tail='{"prompt_id": "p", "corr')
    (classes,) = read_classes(path, {"p"}).values()
    found = [(c.kind, c.key, c.count, c.num_cut_off, c.example) for c in classes]
    assert found == [
        ("correct", "A", 2, 0, "first"),
        ("correct", "1", 1, 1, "third"),
        ("wrong", "", 1, 0, "bad"),
        ("unscored", "", 1, 0, "crashed"),
    ]


def test_an_id_that_json_escapes_or_that_is_not_first_is_found(tmp_path):
    odd = 'π "1"'
    row = sample("late", True)
    late = {"sample": 0} | {key: row[key] for key in reversed(row)}
    assert list(read_classes(write_samples(tmp_path, [sample(odd, True), late]), {odd, "late"})) == [odd, "late"]


def collect(tmp_path: Path, rows: list[dict[str, Any]], budget: int = 10**6, ids: str = "abc") -> Any:
    write_samples(tmp_path, rows)
    return collect_browsed([make_run("base", dict.fromkeys(ids, 1), tmp_path)], budget)


def test_texts_are_cut_before_problems_are_left_out_and_both_are_counted(tmp_path):
    rows = [sample(i, True, "z" * 3000) for i in "abc"]
    whole = collect(tmp_path, rows)
    assert (len(whole.problems), whole.text_limit) == (3, 2000)
    assert whole.problems[0]["runs"][0]["classes"][0]["cut"] == 1000
    tight = collect(tmp_path, rows, budget=2500)
    assert (len(tight.problems), tight.text_limit) == (3, 500)
    tighter = collect(tmp_path, rows, budget=1000)
    assert len(tighter.problems) < 3
    assert tighter.num_problems == 3
    assert len(json.dumps(tighter.problems, separators=(",", ":"))) <= 1000


def test_many_classes_are_counted_and_every_kind_is_shown(tmp_path):
    rows = [sample("a", True, answer=str(i)) for i in range(30)]
    rows += [sample("a", False, answer=f"w{i}") for i in range(30)] + [sample("a", None, label="error")]
    ((run,),) = [problem["runs"] for problem in collect(tmp_path, rows, ids="a").problems]
    kinds = [each["kind"] for each in run["classes"]]
    assert len(kinds) == MAX_CLASSES
    assert set(kinds) == {"correct", "wrong", "unscored"}
    assert run["rest"] == [61 - MAX_CLASSES, 61 - MAX_CLASSES]


def test_without_samples_there_is_nothing_to_browse(tmp_path):
    assert collect_browsed([make_run("base", {"a": 1}, tmp_path)]).problems == []
