"""Samples to graded records: what the verifier says, with truncation and its crashes told apart from wrong answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rlkit.evaluation.engine import Sample
from rlkit.evaluation.store import Record
from rlkit.evaluation.thinking import strip_thinking
from rlkit.types import Grade, Row, Task

TRUNCATED, GRADER_ERROR, UNCLOSED_THINKING = "truncated", "grader_error", "unclosed_thinking"


class Grader:
    """Grades samples and remembers the first error of a verifier that breaks its promise not to raise."""

    def __init__(self, task: Task, rows: Sequence[Row], thinking_tag: str | None = "think") -> None:
        self._task, self._thinking_tag = task, thinking_tag
        self._rows = {row["id"]: row for row in rows}
        self.errors: Counter[str] = Counter()

    def knows(self, prompt_id: str) -> bool:
        """Return whether a problem is among the task's."""
        return prompt_id in self._rows

    def grade(self, sample: Sample) -> Grade:
        """Judge one sample."""
        return self.grade_text(sample.prompt_id, sample.completion, sample.finish_reason)

    def grade_text(self, prompt_id: str, completion: str, finish_reason: str) -> Grade:
        """Judge one completion by what it says outside its reasoning.

        A completion cut at the token limit is wrong whatever its text: it never came to an answer of its own accord,
        and neither did one whose reasoning never ends. What a server withheld is unscored, and so is a sample whose
        verifier raises: `correct` is None, rather than wrong.
        """
        if finish_reason == "length":
            return Grade(False, TRUNCATED)
        if finish_reason != "stop":
            return Grade(None, finish_reason)
        text = self.answer_text(completion)
        if text is None:
            return Grade(False, UNCLOSED_THINKING)
        try:
            return self._task.grade(text, self._rows[prompt_id])
        except Exception as error:
            self.errors[f"{type(error).__name__}: {error}"] += 1
            return Grade(None, GRADER_ERROR)

    def answer_text(self, completion: str) -> str | None:
        """Return the part of a completion that is graded; None where its reasoning never ends."""
        return completion if self._thinking_tag is None else strip_thinking(completion, self._thinking_tag)

    def record(self, sample: Sample) -> Record:
        """Return the line of samples.jsonl for one sample; its completion is kept whole."""
        record = {
            "prompt_id": sample.prompt_id,
            "sample": sample.sample,
            "completion": sample.completion,
            "num_tokens": sample.num_tokens,
            "finish_reason": sample.finish_reason,
            "logp_sum": _finite(sample.logp_sum),
            "logp_mean": _finite(_ratio(sample.logp_sum, sample.num_tokens)),
            "entropy_mean": _finite(sample.entropy_mean),
        }
        return record | grade_fields(self.grade(sample))

    def regrade(self, record: Mapping[str, Any]) -> Record:
        """Return a line of samples.jsonl with the verdict of this grader in place of the one it has."""
        grade = self.grade_text(record["prompt_id"], record["completion"], record["finish_reason"])
        return dict(record) | grade_fields(grade)


def grade_fields(grade: Grade) -> Record:
    """Return the fields of a record that a grader decides; the class of a solution is its answer unless told apart."""
    return {"correct": grade.correct, "verdict": grade.verdict, "answer": grade.answer, "class": grade.answer}


def _ratio(total: float | None, count: int) -> float | None:
    return total / count if total is not None and count else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
