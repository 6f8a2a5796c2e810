"""Grades: truncation, verifiers that crash, numbers that are not finite."""

from __future__ import annotations

import math

import pytest

from rlkit.evaluation import Sample
from rlkit.evaluation.samples.grading import Grader
from rlkit.types import Grade, Row
from tests.evaluation.conftest import FirstLetter

ROWS = FirstLetter().load("test")


def sample(completion: str, finish_reason: str = "stop", **changes: object) -> Sample:
    fields = {"num_tokens": 4, "logp_sum": -2.0, "entropy_mean": 0.5, **changes}
    return Sample("test-0", 0, completion, finish_reason=finish_reason, **fields)


def test_the_task_decides() -> None:
    grader = Grader(FirstLetter(), ROWS)
    assert grader.grade(sample("a b b")) == Grade(True, "correct", "ab")
    assert grader.grade(sample("b")) == Grade(False, "wrong_letter", "b")
    assert grader.grade(sample("a " * 50)) == Grade(None, "too_long_to_judge")


def test_a_cut_completion_is_wrong_even_if_its_text_would_pass() -> None:
    assert Grader(FirstLetter(), ROWS).grade(sample("a b", "length")) == Grade(False, "truncated")


class Crashes(FirstLetter):
    def grade(self, completion: str, row: Row) -> Grade:
        raise RecursionError("too deep")


def test_a_verifier_that_crashes_scores_nothing_and_is_counted() -> None:
    grader = Grader(Crashes(), ROWS)
    assert [grader.grade(sample("a")) for _ in range(2)] == [Grade(None, "grader_error")] * 2
    assert grader.errors == {"RecursionError: too deep": 2}


def test_records_hold_every_field_and_no_nan() -> None:
    grader = Grader(FirstLetter(), ROWS)
    record = grader.record(sample("a b"))
    assert record == {
        "prompt_id": "test-0",
        "sample": 0,
        "completion": "a b",
        "num_tokens": 4,
        "finish_reason": "stop",
        "logp_sum": -2.0,
        "logp_mean": -0.5,
        "entropy_mean": 0.5,
        "correct": True,
        "label": "correct",
        "answer": "ab",
        "class": "ab",
    }
    odd = grader.record(sample("a", logp_sum=-math.inf, entropy_mean=None))
    assert (odd["logp_sum"], odd["logp_mean"], odd["entropy_mean"]) == (None, None, None)


@pytest.mark.parametrize("completion", ["", " ", "\x00", "é" * 1000])
def test_odd_texts_are_graded_like_others(completion: str) -> None:
    assert Grader(FirstLetter(), ROWS).grade(sample(completion)).correct is False


class GradesTogether(FirstLetter):
    """Judges each different text once, and says how it was asked."""

    def __init__(self, fault: str | None = None) -> None:
        super().__init__()
        object.__setattr__(self, "fault", fault)
        object.__setattr__(self, "asked", [])

    def grade_all(self, completions: list[str], rows: list[Row]) -> list[Grade]:
        self.asked.append(list(completions))  # type: ignore[attr-defined]
        if self.fault == "raises":  # type: ignore[attr-defined]
            raise RecursionError("too deep")
        pairs = dict.fromkeys(zip(completions, (row["id"] for row in rows), strict=True))
        grades = [self.grade(text, next(row for row in rows if row["id"] == at)) for text, at in pairs]
        known = dict(zip(pairs, grades, strict=True))
        found = [known[text, row["id"]] for text, row in zip(completions, rows, strict=True)]
        return found[1:] if self.fault == "loses one" else found  # type: ignore[attr-defined]


BATCH = [
    sample("a b"),
    sample("a", "length"),
    sample("<think>a</think>b"),
    sample("<think>a"),
    sample("a b"),
    sample("a", "content_filter"),
    sample("a " * 50),
]


@pytest.mark.parametrize("fault", [None, "raises", "loses one"])
def test_samples_judged_together_have_the_grades_of_each_alone(fault: str | None) -> None:
    task = GradesTogether(fault)
    grader = Grader(task, ROWS)
    alone = [Grader(FirstLetter(), ROWS).record(each) for each in BATCH]
    assert grader.records(BATCH) == grader.regrade(alone) == alone
    # What was cut, never ended its reasoning or was withheld is no verifier's business.
    assert task.asked == [["a b", "b", "a b", "a " * 50]] * 2  # type: ignore[attr-defined]
    assert grader.errors == {}


def test_of_samples_judged_together_only_what_crashes_is_unscored() -> None:
    class CrashesOnB(GradesTogether):
        def grade(self, completion: str, row: Row) -> Grade:
            if completion == "b":
                raise RecursionError("too deep")
            return super().grade(completion, row)

    grader = Grader(CrashesOnB(), ROWS)
    assert [record["label"] for record in grader.records(BATCH[:3])] == ["correct", "truncated", "grader_error"]
    assert grader.errors == {"RecursionError: too deep": 1}


def test_a_sample_of_another_tools_log_is_graded_by_its_text() -> None:
    record = {**Grader(FirstLetter(), ROWS).record(sample("b")), "completion": "a b", "finish_reason": None}
    assert Grader(FirstLetter(), ROWS).regrade([record])[0]["label"] == "correct"
