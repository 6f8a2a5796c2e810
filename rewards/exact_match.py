"""1 when the final answer of a completion is the row's `gold`, up to case, spaces and punctuation, else 0.

    rewards: [exact_match]

A completion that announces no answer is its own answer, so a bare `Paris` counts. For numbers and formulas take
`math_verify`, which knows that 0.5 is 1/2.
"""

from __future__ import annotations

from typing import Any

import rlkit
from rlkit.tasks.verifiers import ExactVerifier
from rlkit.types import Completion
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

CASES = [
    ({"completion": text, "gold": gold}, expected)
    for text, gold, expected in (
        ("It lies on the Seine. The answer is Paris.", "paris", 1.0),
        ("<answer> PARIS </answer>", "Paris", 1.0),
        ("Paris", "Paris", 1.0),
        ("Paris or Lyon", "Paris", 0.0),
        (r"\boxed{Lyon}, no: \boxed{Paris}", "Paris", 1.0),
        (r"\boxed{Lyon}", "Paris", 0.0),
        ("", "Paris", 0.0),
        ("Paris", None, None),
    )
]
"""What it must say of each call."""


@rlkit.reward
def exact_match(completion: Completion, gold: Any, *, thinking_tag: str | None = USUAL_TAG) -> float | None:
    """Return 1.0 where the answer has the normal form of the gold one, else 0.0; None where there is no gold answer.

    Args:
        completion: text, or chat.
        gold: the right answer.
        thinking_tag: of the reasoning that is left out, `think` for the usual ones; None takes completions whole.
    """
    if gold is None or not str(gold).strip():
        return None
    (grade,) = ExactVerifier().grade([answer_text(completion, thinking_tag)], [{"gold": gold}])
    return None if grade.correct is None else float(grade.correct)
