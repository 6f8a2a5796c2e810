"""Report cells from hand-made samples whose every number can be worked out on paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rlkit.estimators import jeffreys_interval, pass_at_k, pass_at_k_variance, shannon_entropy
from rlkit.evaluation.metrics.cells import (
    METRICS,
    distinct_at_k_cells,
    distinct_at_k_columns,
    k_grid,
    label_cells,
    pass_at_k_cells,
)
from rlkit.evaluation.metrics.problems import count_problems, describe_problems

ROWS = [
    {"id": "easy", "prompt": "p", "num_solutions": 4},
    {"id": "hard", "prompt": "q", "num_solutions": None},
    {"id": "empty", "prompt": "r"},
]


def record(
    prompt: str, sample: int, correct: bool | None, answer: str | None, verdict: str, **changes: Any
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "num_tokens": 2,
        "finish_reason": "stop",
        "logp_sum": -1.0,
        "entropy_mean": 0.5,
        **changes,
    }
    return {"prompt_id": prompt, "sample": sample, "correct": correct, "answer": answer, "label": verdict, **fields}


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
    assert easy["labels"] == {"correct": 3, "truncated": 1}
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
    cells = label_cells(problems)
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
    assert label_cells(problems) == {}
    assert math.isnan(distinct_at_k_columns(problems, [1])[0, 0])


def describe(records: list[dict[str, Any]]) -> dict[str, Any]:
    (described,) = describe_problems(count_problems(ROWS[:1], records))
    return described


def values(problem: dict[str, Any]) -> dict[str, float]:
    return {name: float(metric.column([problem])[0]) for name, metric in METRICS.items()}


def test_answers_hold_how_many_samples_gave_each_and_how_many_of_those_were_correct(
    problems: list[dict[str, Any]],
) -> None:
    easy, hard, empty = problems
    assert easy["answers"] == {"A": [2, 2], "": [1, 0], "B": [1, 1]}
    assert hard["answers"] == {"X": [2, 0], "Y": [1, 0]}
    assert empty["answers"] == {}


def test_solutions_are_told_apart_by_their_class_where_there_is_one() -> None:
    records = [record("easy", number, True, "7", "correct", **{"class": f"way {number % 2}"}) for number in range(4)]
    problem = describe([*records, record("easy", 4, True, "7", "correct", **{"class": None})])
    assert problem["classes"] == {"way 0": 2, "way 1": 2, "7": 1}
    assert problem["answers"] == {"7": [5, 5]}


def test_numbers_of_one_problem_by_hand() -> None:
    problem = describe(RECORDS)
    found = values(problem)
    assert found["mode_correct"] == 1.0
    assert found["majority_gain"] == pytest.approx(1 - 3 / 4)
    assert found["hill_1"] == pytest.approx(math.exp(shannon_entropy([2, 1, 1])))
    assert found["answer_entropy_parsed"] == pytest.approx(shannon_entropy([2, 1]))
    assert found["simpson"] == pytest.approx(1 - 2 / 12)
    assert found["simpson_correct"] == pytest.approx(1 - 2 / 6)
    assert found["hill_1_correct"] == pytest.approx(math.exp(shannon_entropy([2, 1])))
    assert found["chao1_correct"] == 2.0
    assert found["good_turing_correct"] == pytest.approx(1 - 1 / 3)
    assert found["parsed"] == 3 / 4
    assert (found["num_tokens_correct"], found["num_tokens_wrong"]) == (pytest.approx(10 / 3), 2.0)
    assert found["random_pick"] == 1.0
    low, high = jeffreys_interval(4, 3)
    assert (problem["pass_rate_low"], problem["pass_rate_high"]) == (pytest.approx(low), pytest.approx(high))


def test_picks_by_likelihood_leave_out_what_has_no_answer() -> None:
    records = [
        record("easy", 0, True, "A", "correct", logp_sum=-6.0),
        record("easy", 1, False, "B", "wrong", logp_sum=-1.0),
        record("easy", 2, False, "C", "wrong", logp_sum=-4.0),
        record("easy", 3, False, None, "malformed", logp_sum=-9.0),
        record("easy", 4, False, None, "malformed", logp_sum=-0.1),
    ]
    found = values(describe(records))
    assert (found["confident_pick"], found["surprising_pick"]) == (0.0, 1.0)
    assert found["random_pick"] == pytest.approx(1 / 3)
    assert found["surprising_pick_gain"] == pytest.approx(2 / 3)
    # The correct sample is likelier than one of the four wrong ones.
    assert found["logp_auroc"] == 0.25


def test_picks_without_log_probs_or_answers_are_undefined() -> None:
    unknown = [record("easy", number, number < 2, "A", "x", logp_sum=None) for number in range(4)]
    unanswered = [record("easy", number, False, None, "malformed") for number in range(4)]
    for records in (unknown, unanswered):
        found = values(describe(records))
        assert math.isnan(found["confident_pick"])
        assert math.isnan(found["surprising_pick"])
        assert math.isnan(found["surprising_pick_gain"])
    assert values(describe(unknown))["random_pick"] == 0.5
    assert values(describe(unanswered))["parsed"] == 0.0


def test_equal_answers_graded_differently_are_counted() -> None:
    records = [record("easy", number, number == 0, "A", "x") for number in range(3)]
    found = values(describe([*records, record("easy", 3, False, "B", "x")]))
    assert found["mixed_answers"] == 1.0
    assert found["mode_correct"] == 0.0


def test_a_task_without_answers_has_none_to_parse_or_vote_on() -> None:
    found = values(describe([record("easy", number, number == 0, None, "x") for number in range(3)]))
    assert math.isnan(found["parsed"])
    assert math.isnan(found["mode_correct"])
    assert math.isnan(found["majority_gain"])
    assert found["confident_pick"] == 1.0


def test_pass_at_k_says_what_drawing_anew_would_change(problems: list[dict[str, Any]]) -> None:
    cells = pass_at_k_cells(problems * 20, range(1, 5))
    expected = math.sqrt(20 * pass_at_k_variance(4, 3, 1)) / 40
    assert cells["1"]["se_samples"] == pytest.approx(expected)
    assert cells["4"]["se_samples"] is None
    assert pass_at_k_cells(problems * 19, [1])["1"]["se_samples"] is None
