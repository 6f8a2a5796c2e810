"""Samples to graded records: what the verifier says, with truncation and its crashes told apart from wrong answers."""

from __future__ import annotations

import math
from collections import Counter

from rlkit.evaluation.engine import Sample
from rlkit.evaluation.store import Record
from rlkit.types import Grade, Row, Task

TRUNCATED, GRADER_ERROR = "truncated", "grader_error"


class Grader:
    """Grades samples and remembers the first error of a verifier that breaks its promise not to raise."""

    def __init__(self, task: Task, rows: list[Row]) -> None:
        self._task = task
        self._rows = {row["id"]: row for row in rows}
        self.errors: Counter[str] = Counter()

    def grade(self, sample: Sample) -> Grade:
        """Judge one sample.

        A completion cut at the token limit is wrong whatever its text: it never came to an answer of its own accord. A
        verifier that raises leaves the sample unscored, `correct` None, rather than wrong.
        """
        if sample.finish_reason == "length":
            return Grade(False, TRUNCATED)
        try:
            return self._task.grade(sample.completion, self._rows[sample.prompt_id])
        except Exception as error:
            self.errors[f"{type(error).__name__}: {error}"] += 1
            return Grade(None, GRADER_ERROR)

    def record(self, sample: Sample) -> Record:
        """Return the line of samples.jsonl for one sample."""
        grade = self.grade(sample)
        return {
            "prompt_id": sample.prompt_id,
            "sample": sample.sample,
            "completion": sample.completion,
            "num_tokens": sample.num_tokens,
            "finish_reason": sample.finish_reason,
            "logp_sum": _finite(sample.logp_sum),
            "logp_mean": _finite(sample.logp_sum / sample.num_tokens if sample.num_tokens else None),
            "entropy_mean": _finite(sample.entropy_mean),
            "correct": grade.correct,
            "verdict": grade.verdict,
            "answer": grade.answer,
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
