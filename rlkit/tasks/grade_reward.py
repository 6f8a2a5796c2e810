"""The reward that every task has: what its `grade` says of a completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rlkit.types import Task
from rlkit.verifiers.reasoning import answer_text


def grade_reward(task: Task) -> Callable[..., list[float | None]]:
    """Return a task's `grade` as a reward: 1.0 for correct, 0.0 for wrong, None for what could not be judged."""

    def grade(completions: Sequence[Any], *, prompts: Sequence[Any], **columns: Any) -> list[float | None]:
        lists = {name: values for name, values in columns.items() if isinstance(values, list | tuple)}
        rows = [{name: values[at] for name, values in lists.items()} for at in range(len(prompts))]
        rows = [{"prompt": prompt, **row} for prompt, row in zip(prompts, rows, strict=True)]
        texts = [answer_text(completion) for completion in completions]
        grade_all = getattr(task, "grade_all", None)
        grades = grade_all(texts, rows) if grade_all else [task.grade(*pair) for pair in zip(texts, rows, strict=True)]
        return [None if found.correct is None else float(found.correct) for found in grades]

    return grade
