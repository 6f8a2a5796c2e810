"""Grades: truncation, verifiers that crash, numbers that are not finite."""

from __future__ import annotations

import math

import pytest

from rlkit.evaluation import Sample
from rlkit.evaluation.grading import Grader
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
        "verdict": "correct",
        "answer": "ab",
        "class": "ab",
    }
    odd = grader.record(sample("a", logp_sum=-math.inf, entropy_mean=None))
    assert (odd["logp_sum"], odd["logp_mean"], odd["entropy_mean"]) == (None, None, None)


@pytest.mark.parametrize("completion", ["", " ", "\x00", "é" * 1000])
def test_odd_texts_are_graded_like_others(completion: str) -> None:
    assert Grader(FirstLetter(), ROWS).grade(sample(completion)).correct is False
