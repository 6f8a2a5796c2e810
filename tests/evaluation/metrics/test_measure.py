"""Whole reports from samples of every kind, hostile ones too: nothing raises, invents success or leaves its range."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.evaluation.metrics.measure import measure_problems
from rlkit.evaluation.metrics.problems import count_problems, describe_problems

N = 6
ROWS: list[dict[str, Any]] = [{"id": name, "prompt": "?", "num_solutions": 3} for name in ("a", "b", "c")]

some_samples = st.lists(
    st.fixed_dictionaries(
        {
            "prompt_id": st.sampled_from(["a", "b", "c"]),
            "sample": st.integers(0, N - 1),
            "num_tokens": st.sampled_from([0, 1, 5]),
            "finish_reason": st.sampled_from(["stop", "length"]),
            "logp_sum": st.sampled_from([None, 0.0, -1.5, -1.5, -700.0]),
            "entropy_mean": st.sampled_from([None, 0.0, 0.7]),
            "correct": st.sampled_from([True, False, None]),
            "label": st.sampled_from(["correct", "wrong"]),
            "answer": st.sampled_from([None, "", "A", "A", "B", "C"]),
        }
    ),
    max_size=3 * N,
)


def measure(records: list[dict[str, Any]]) -> dict[str, Any]:
    counts = count_problems(ROWS, records)
    problems = describe_problems(counts)
    report = {**measure_problems(counts, problems, N), "problems": problems}
    # JSON has no NaN: whatever is undefined must be None by now.
    return json.loads(json.dumps(report, allow_nan=False))  # type: ignore[no-any-return]


def cells_of(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every cell of a report with the names that lead to it."""
    if isinstance(value, dict) and "num_defined" in value:
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from cells_of(inner, f"{path}/{name}")


SHARES = ("pass_at_k", "pass_hat_k", "g_pass_at_k", "mg_pass_at_k", "maj_at_k", "best_of_k", "cover_at_tau")


@settings(max_examples=25, deadline=None)
@given(some_samples)
def test_any_samples_give_a_report_within_its_ranges(records: list[dict[str, Any]]) -> None:
    report = measure(records)
    for path, cell in cells_of(report):
        assert 0 <= cell["num_defined"] <= cell["num_total"] == 3, path
        assert (cell["value"] is None) == (cell["num_defined"] == 0), path
        if cell["low"] is not None:
            assert cell["low"] - 1e-9 <= cell["value"] <= cell["high"] + 1e-9, path
        if path.split("/")[1] in SHARES and cell["value"] is not None:
            assert -1e-12 <= cell["value"] <= 1 + 1e-12, path
    for k in ("1", "2", "4"):
        passed, voted = report["pass_at_k"][k], report["maj_at_k"][k]
        if voted["num_defined"] == passed["num_defined"] > 0 and not has_mixed_answers(report):
            assert voted["value"] <= passed["value"] + 1e-9


@settings(max_examples=25, deadline=None)
@given(some_samples)
def test_what_was_never_solved_is_never_scored_as_solved(records: list[dict[str, Any]]) -> None:
    unsolved = [{**record, "correct": False if record["correct"] else record["correct"]} for record in records]
    report = measure(unsolved)
    for path, cell in cells_of(report):
        if path.split("/")[1] in SHARES:
            assert cell["value"] in (None, 0.0), path
    for name in ("mode_correct", "confident_pick", "surprising_pick", "random_pick", "auc_log2", "distinct_correct"):
        assert report["metrics"][name]["value"] in (None, 0.0), name


@settings(max_examples=25, deadline=None)
@given(some_samples, st.randoms())
def test_the_order_of_samples_changes_nothing(records: list[dict[str, Any]], random: Any) -> None:
    unique = list({(record["prompt_id"], record["sample"]): record for record in records}.values())
    shuffled = random.sample(unique, len(unique))
    for (path, cell), (_, other) in zip(cells_of(measure(unique)), cells_of(measure(shuffled)), strict=True):
        assert cell["num_defined"] == other["num_defined"], path
        assert cell["value"] == (other["value"] and pytest.approx(other["value"], abs=1e-12)), path


def test_equal_samples_have_one_answer_and_no_doubt() -> None:
    sample = {"num_tokens": 3, "finish_reason": "stop", "logp_sum": -1.0, "entropy_mean": 0.1, "label": "correct"}
    sample |= {"correct": True, "answer": "A"}
    report = measure([{**sample, "prompt_id": row["id"], "sample": i} for row in ROWS for i in range(N)])
    for family in ("pass_at_k", "pass_hat_k", "maj_at_k"):
        assert {cell["value"] for cell in report[family].values()} == {1.0}
    metrics = {name: cell["value"] for name, cell in report["metrics"].items()}
    assert (metrics["hill_1"], metrics["simpson"], metrics["answer_entropy"]) == (1.0, 0.0, 0.0)
    assert (metrics["majority_gain"], metrics["surprising_pick_gain"], metrics["logp_auroc"]) == (0.0, 0.0, None)
    assert metrics["good_turing_correct"] == 1.0
    # Certainty is not claimed for other problems of this kind.
    assert report["pass_at_k"]["1"]["low"] < 1.0


def test_copies_of_every_sample_leave_plug_in_measures_alone() -> None:
    sample = {"num_tokens": 3, "finish_reason": "stop", "logp_sum": -1.0, "entropy_mean": 0.1, "label": "x"}
    answers = ["A", "A", "B"]
    once, twice = (
        [
            {**sample, "prompt_id": "a", "sample": i, "answer": answers[i % 3], "correct": answers[i % 3] == "A"}
            for i in range(size)
        ]
        for size in (3, 6)
    )
    first, second = (measure(records)["metrics"] for records in (once, twice))
    for name in ("answer_entropy", "hill_1", "mode_correct", "majority_gain", "random_pick"):
        assert first[name]["value"] == pytest.approx(second[name]["value"])
    assert first["hill_1"]["value"] == pytest.approx(math.exp(math.log(3) - 2 / 3 * math.log(2)))


def has_mixed_answers(report: dict[str, Any]) -> bool:
    return bool(report["metrics"]["mixed_answers"]["value"])
