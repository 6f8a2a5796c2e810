from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlkit.report.examples import Example, choose_problems, collect_examples, read_groups
from rlkit.report.load import Run


def make_run(name: str, distinct: dict[str, int | None], directory: Path = Path()) -> Run:
    problems = [
        {"id": i, "prompt": i.upper(), "num_distinct_correct": d, "num_solutions": 9} for i, d in distinct.items()
    ]
    return Run(name, directory, {"pass_at_k": {}, "problems": problems})


def sample(problem: str, correct: bool | None, answer: str | None, text: str, label: str = "correct") -> dict[str, Any]:
    return {
        "prompt_id": problem, "sample": 0, "correct": correct, "answer": answer, "completion": text, "label": label
    }  # fmt: skip


def write_samples(directory: Path, samples: list[dict[str, Any]], tail: str = "") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples) + tail)
    return directory


def test_the_choice_is_the_largest_loss_a_typical_one_the_largest_gain_and_one_lost():
    base = make_run("base", {"p1": 5, "p2": 3, "p3": 1, "p4": 2, "p5": 3})
    grpo = make_run("grpo", {"p1": 1, "p2": 2, "p3": 4, "p4": 0, "p5": 2})
    assert choose_problems([base, grpo]) == {
        "p1": "Largest loss: grpo found 1 distinct solution, base 5",
        "p2": "Most typical: numbers of distinct solutions nearest to every run's mean",
        "p3": "Largest gain: grpo found 4 distinct solutions, base 1",
        "p4": "No longer solved: grpo found no solution, base 2",
    }


def test_a_problem_is_shown_once_and_ties_go_to_the_first():
    base, same = make_run("base", {"p1": 3, "p2": 3}), make_run("same", {"p1": 1, "p2": 1})
    assert list(choose_problems([base, same])) == ["p1", "p2"]


def test_a_single_run_shows_its_typical_problem_and_none_without_counts():
    assert list(choose_problems([make_run("base", {"p1": 1, "p2": 3, "p3": 5})])) == ["p2"]
    assert choose_problems([make_run("base", {"p1": None})]) == {}
    assert choose_problems([make_run("base", {})]) == {}


def test_groups_count_solutions_and_verdicts_of_the_chosen_problems_only(tmp_path):
    rows = [
        sample("p1", True, "1+2", "first"),
        sample("p1", True, "1+2", "second"),
        sample("p1", True, None, "no key"),
        sample("p1", False, "9", "bad", "wrong_target"),
        sample("p1", None, None, "crashed", "error"),
        sample("p10", True, "x", "another problem whose text says p1"),
    ]
    path = write_samples(tmp_path, rows, tail='{"prompt_id": "p1", "corr')
    (group,) = read_groups(path, {"p1"}).values()
    assert group.num_samples == 5
    assert group.solutions == {"1+2": 2, "": 1}
    assert group.wrong == {"wrong_target": 1, "error": 1}
    assert group.examples == {"1+2": "first", "": "no key", "wrong_target": "bad", "error": "crashed"}


def test_ids_that_json_escapes_are_found(tmp_path):
    path = write_samples(tmp_path, [sample('π "1"', True, "a", "b")])
    assert list(read_groups(path, {'π "1"'})) == ['π "1"']


def test_solutions_are_ordered_by_how_the_reference_prefers_them(tmp_path):
    base = [sample("p1", True, key, key) for key in "bbca"]
    other = [sample("p1", True, key, key) for key in "dddaa"]
    runs = []
    for name, rows in (("base", base), ("other", other)):
        write_samples(tmp_path / name, rows)
        runs.append(make_run(name, {"p1": 2}, tmp_path / name))
    (example,) = collect_examples(runs)
    assert example.solutions == ["b", "a", "c", "d"]
    assert example.num_samples == 5
    assert example.num_solutions == 9


def test_missing_samples_leave_empty_groups(tmp_path):
    (example,) = collect_examples([make_run("base", {"p1": 2}, tmp_path)])
    assert isinstance(example, Example)
    assert example.solutions == []
