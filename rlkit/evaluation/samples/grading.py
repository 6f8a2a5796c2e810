"""Samples to graded records: what the verifier says, with truncation and its crashes told apart from wrong answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rlkit.evaluation.engines.contract import Sample
from rlkit.evaluation.samples.reading import Record
from rlkit.types import Grade, Row, Task
from rlkit.verifiers.reasoning import split_reasoning

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
        return self.grade_texts([(sample.prompt_id, sample.completion, sample.finish_reason)])[0]

    def grade_texts(self, texts: Sequence[tuple[str, str, str | None]]) -> list[Grade]:
        """Judge completions, given as prompt id, text and finish reason, by what they say outside their reasoning.

        A completion cut at the token limit is wrong whatever its text: it never came to an answer of its own accord,
        and neither did one whose reasoning never ends. What a server withheld is unscored, and so is a sample whose
        verifier raises: `correct` is None, rather than wrong.

        A task with `grade_all` sees all of them at once, so that equal answers need be judged only once.
        """
        known: list[Grade | str] = [self._settle(completion, reason) for _, completion, reason in texts]
        asked = [(text, self._rows[key[0]]) for text, key in zip(known, texts, strict=True) if isinstance(text, str)]
        judged = iter(self._judge(asked))
        return [next(judged) if isinstance(grade, str) else grade for grade in known]

    def _settle(self, completion: str, finish_reason: str | None) -> Grade | str:
        """Return the grade of a completion that no verifier need see, and the text that it is to see of the others."""
        if finish_reason == "length":
            return Grade(False, TRUNCATED)
        # How a completion ended is not in the logs of other tools.
        if finish_reason not in ("stop", None):
            return Grade(None, finish_reason)
        text = self.answer_text(completion)
        return Grade(False, UNCLOSED_THINKING) if text is None else text

    def _judge(self, asked: Sequence[tuple[str, Row]]) -> list[Grade]:
        grade_all = getattr(self._task, "grade_all", None)
        if grade_all is not None and len(asked) > 1:
            try:
                grades = list(grade_all([text for text, _ in asked], [row for _, row in asked]))
            except Exception:
                # One by one, as below, only what it fails on is left unscored.
                grades = []
            if len(grades) == len(asked):
                return grades
        return [self._judge_one(text, row) for text, row in asked]

    def _judge_one(self, text: str, row: Row) -> Grade:
        try:
            return self._task.grade(text, row)
        except Exception as error:
            self.errors[f"{type(error).__name__}: {error}"] += 1
            return Grade(None, GRADER_ERROR)

    def answer_text(self, completion: str) -> str | None:
        """Return the part of a completion that is graded; None where its reasoning never ends."""
        return completion if self._thinking_tag is None else split_reasoning(completion, self._thinking_tag).answer

    def record(self, sample: Sample) -> Record:
        """Return the line of samples.jsonl for one sample."""
        return self.records([sample])[0]

    def records(self, samples: Sequence[Sample]) -> list[Record]:
        """Return the lines of samples.jsonl for samples; their completions are kept whole."""
        grades = self.grade_texts([(each.prompt_id, each.completion, each.finish_reason) for each in samples])
        return [self._measured(each) | grade_fields(grade) for each, grade in zip(samples, grades, strict=True)]

    def regrade(self, records: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Return lines of samples.jsonl with the labels of this grader in place of those they have."""
        grades = self.grade_texts([(each["prompt_id"], each["completion"], each["finish_reason"]) for each in records])
        return [dict(each) | grade_fields(grade) for each, grade in zip(records, grades, strict=True)]

    @staticmethod
    def _measured(sample: Sample) -> Record:
        return {
            "prompt_id": sample.prompt_id,
            "sample": sample.sample,
            "completion": sample.completion,
            "num_tokens": sample.num_tokens,
            "finish_reason": sample.finish_reason,
            "logp_sum": _finite(sample.logp_sum),
            "logp_mean": _finite(_ratio(sample.logp_sum, sample.num_tokens)),
            "entropy_mean": _finite(sample.entropy_mean),
        }


def grade_fields(grade: Grade) -> Record:
    """Return the fields of a record that a grader decides; the class of a solution is its answer unless told apart."""
    return {"correct": grade.correct, "label": grade.label, "answer": grade.answer, "class": grade.answer}


def _ratio(total: float | None, count: int) -> float | None:
    return total / count if total is not None and count else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
