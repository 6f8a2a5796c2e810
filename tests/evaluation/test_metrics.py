"""Report cells from hand-made samples whose every number can be worked out on paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rlkit.estimators import pass_at_k, shannon_entropy
from rlkit.evaluation.metrics import (
    METRICS,
    distinct_at_k_cells,
    distinct_at_k_columns,
    k_grid,
    pass_at_k_cells,
    verdict_cells,
)
from rlkit.evaluation.problems import count_problems

ROWS = [
    {"id": "easy", "prompt": "p", "num_solutions": 4},
    {"id": "hard", "prompt": "q", "num_solutions": None},
    {"id": "empty", "prompt": "r"},
]


def record(
    prompt: str, sample: int, correct: bool | None, answer: str | None, verdict: str, **changes: Any
) -> dict[str, Any]:
    fields = {"num_tokens": 2, "finish_reason": "stop", "logp_sum": -1.0, "entropy_mean": 0.5, **changes}
    return {"prompt_id": prompt, "sample": sample, "correct": correct, "answer": answer, "verdict": verdict, **fields}


RECORDS = [
    record("easy", 0, True, "A", "correct"),
    record("easy", 1, True, "A", "correct", num_tokens=6, entropy_mean=0.1, logp_sum=-3.0),
    record("easy", 2, True, "B", "correct"),
    record("easy", 3, False, None, "truncated", finish_reason="length"),
    record("hard", 0, False, "X", "wrong"),
    record("hard", 1, None, None, "grader_error"),
    record("hard", 2, False, "X", "wrong", entropy_mean=None),
    record("hard", 3, False, "Y", "wrong"),
    record("a problem of no row", 0, True, "A", "correct"),
]


@pytest.fixture(scope="module")
def problems() -> list[dict[str, Any]]:
    return [counts.as_json() for counts in count_problems(ROWS, RECORDS)]


def test_counts_of_one_problem(problems: list[dict[str, Any]]) -> None:
    easy, hard, empty = problems
    assert easy["classes"] == {"A": 2, "B": 1}
    assert (easy["num_samples"], easy["num_correct"], easy["num_distinct_correct"]) == (4, 3, 2)
    assert easy["verdicts"] == {"correct": 3, "truncated": 1}
    assert easy["token_entropy"] == pytest.approx((2 * 0.5 + 6 * 0.1 + 2 * 0.5 + 2 * 0.5) / 12)
    assert easy["surprisal"] == pytest.approx(6.0 / 12)
    assert easy["num_tokens"] == 3.0
    assert easy["answer_entropy"] == pytest.approx(shannon_entropy([2, 1, 1]))
    assert (hard["num_samples"], hard["num_unscored"], hard["token_entropy"]) == (3, 1, None)
    assert (empty["num_samples"], empty["num_tokens"], empty["answer_entropy"], empty["classes"]) == (0, None, None, {})


def test_pass_at_k_leaves_unscored_samples_out_and_says_so(problems: list[dict[str, Any]]) -> None:
    cells = pass_at_k_cells(problems, range(1, 5))
    assert cells["1"]["value"] == pytest.approx((3 / 4 + 0) / 2)
    assert (cells["1"]["num_defined"], cells["1"]["num_total"]) == (2, 3)
    assert cells["4"]["value"] == 1.0
    assert cells["4"]["num_defined"] == 1


def test_metrics_are_means_over_the_problems_that_have_them(problems: list[dict[str, Any]]) -> None:
    cells = {name: metric.cell(problems) for name, metric in METRICS.items()}
    assert cells["distinct_correct"]["value"] == pytest.approx((2 + 0) / 2)
    assert (cells["solution_coverage"]["value"], cells["solution_coverage"]["num_defined"]) == (0.5, 1)
    assert cells["truncated"]["value"] == pytest.approx((1 / 4 + 0) / 2)
    assert cells["unscored"]["value"] == pytest.approx((0 + 1 / 4) / 2)
    expected_auc = np.mean([np.mean([pass_at_k(4, 3, [1, 2])]), np.mean([pass_at_k(4, 3, [2, 4])])])
    assert cells["auc_log2"]["value"] == pytest.approx((expected_auc + 0) / 2)
    assert all(cell["num_total"] == 3 for cell in cells.values())


def test_distinct_at_k_agrees_with_both_ends(problems: list[dict[str, Any]]) -> None:
    columns = distinct_at_k_columns(problems, [1, 4])
    np.testing.assert_allclose(columns, [[3 / 4, 2], [0, np.nan], [np.nan, np.nan]])
    assert distinct_at_k_cells(problems, [1])["1"]["value"] == pytest.approx(3 / 8)


def test_verdicts_are_shares_most_frequent_first(problems: list[dict[str, Any]]) -> None:
    cells = verdict_cells(problems)
    assert list(cells) == ["correct", "wrong", "grader_error", "truncated"]
    assert sum(cell["value"] for cell in cells.values()) == pytest.approx(1.0)


def test_order_of_samples_and_problems_changes_nothing(problems: list[dict[str, Any]]) -> None:
    shuffled = [counts.as_json() for counts in count_problems(ROWS, reversed(RECORDS))]
    assert shuffled == problems


def test_samples_that_are_there_twice_count_once(problems: list[dict[str, Any]]) -> None:
    assert [counts.as_json() for counts in count_problems(ROWS, [*RECORDS, *RECORDS])] == problems


def test_answers_without_a_key_are_one_class() -> None:
    records = [record("easy", number, True, None, "correct") for number in range(3)]
    (counts,) = count_problems(ROWS[:1], records)
    assert counts.as_json()["num_distinct_correct"] == 1


@pytest.mark.parametrize(("n", "grid"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_grid_of_budgets(n: int, grid: list[int]) -> None:
    assert k_grid(n) == grid


def test_no_samples_at_all_are_undefined_not_zero() -> None:
    problems = [counts.as_json() for counts in count_problems(ROWS, [])]
    cells = {**pass_at_k_cells(problems, [1, 2]), **{name: metric.cell(problems) for name, metric in METRICS.items()}}
    assert all(cell["value"] is None and cell["num_defined"] == 0 for cell in cells.values())
    assert verdict_cells(problems) == {}
    assert math.isnan(distinct_at_k_columns(problems, [1])[0, 0])
