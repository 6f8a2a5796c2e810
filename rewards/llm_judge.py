"""What a language model says of a completion by your rubric: 1 or 0; beside a `reference`: better, worse or between.

    rewards: [{name: llm_judge, model: judge, base_url: "http://localhost:8000/v1", rubric: Is every step justified?}]

A comparison is asked in both orders, so that a judge that favours a place says 0.5. Replies are kept in an SQLite file
and never paid for twice. A policy can learn to talk to its judge: read what it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlkit.servers.judge import ChatJudge
from rlkit.types import Completion, Prompt, completion_text, prompt_text

_SERVER = {"model": "judge", "base_url": "http://localhost:8000/v1"}
CASES = [
    ({"completions": ["", " \n"], "prompts": ["?", "?"], **_SERVER}, [0.0, 0.0]),
    ({"completions": ["4", ""], "prompts": ["?", "?"], "reference": ["4", "4"], **_SERVER}, [0.5, 0.0]),
]
"""What it must say of each batch; all that needs no server."""

_MEETS = "Does the reply do what the rubric asks?\n\nRubric: {rubric}"
_BETTER = "Is reply 2 better than reply 1 by the rubric?\n\nRubric: {rubric}"


def llm_judge(
    completions: Sequence[Completion],
    *,
    prompts: Sequence[Prompt],
    reference: Sequence[str | None] | None = None,
    model: str,
    base_url: str,
    rubric: str = "The reply is correct, complete and to the point.",
    cache: str | None = "",
    api_key_variable: str | None = None,
    deadline_s: float = 300.0,
    concurrency: int = 8,
    **columns: Any,
) -> list[float | None]:
    """Return 1.0 where the judge says yes and 0.0 where it says no; with a reference the mean over both orders.

    Args:
        completions, prompts: B texts, or chats.
        reference: B replies to compare with; None for a row without one.
        model, base_url, api_key_variable: an OpenAI-compatible server, and the variable that holds its key.
        rubric: what makes a reply good.
        cache: file of the replies; empty for the user's own, None for none.
        deadline_s, concurrency: seconds of one question, and questions under way at a time.
        columns: unused; other columns of the data.

    Returns:
        None where the judge cannot be read. Without asking: 0.0 for blank completions, 0.5 for copies of the reference.

    Raises:
        ConfigError: a parameter is not allowed, or the server refuses the question.
        RewardError: no reply before the deadline.
    """
    judge = ChatJudge(model, base_url, cache, api_key_variable, deadline_s, concurrency)
    meets, better = _MEETS.format(rubric=rubric), _BETTER.format(rubric=rubric)
    others = reference if reference is not None else [None] * len(completions)

    def question(completion: Completion, prompt: Prompt, other: str | None) -> float | list[tuple[str, ...]]:
        text, task = completion_text(completion), prompt_text(prompt)
        if not text.strip() or text == other:
            return 0.5 if text.strip() else 0.0
        return [(meets, task, text)] if other is None else [(better, task, other, text), (better, task, text, other)]

    asked = [question(*row) for row in zip(completions, prompts, others, strict=True)]
    open_questions = [each for settled in asked if isinstance(settled, list) for each in settled]
    answers = dict(zip(open_questions, judge.ask(open_questions), strict=True))

    def score(settled: float | list[tuple[str, ...]]) -> float | None:
        if isinstance(settled, float):
            return settled
        # In the second order it is "no" that favours the completion.
        votes = [answers[each] if place == 0 else _turn(answers[each]) for place, each in enumerate(settled)]
        return None if None in votes else sum(map(bool, votes)) / len(votes)

    return [score(settled) for settled in asked]


def _turn(answer: bool | None) -> bool | None:
    return None if answer is None else not answer
