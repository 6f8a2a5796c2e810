r"""1 when a completion chooses the row's letter `gold`, else 0.

    rewards: [{name: multiple_choice, choices: ABCD}]

`\boxed{B}`, `The answer is (b).`, `Answer: B. Paris` and a bare `B` choose B; letters elsewhere in the reasoning choose
nothing.
"""

from __future__ import annotations

import rlkit
from rlkit.tasks.verifiers import ChoiceVerifier
from rlkit.types import Completion
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

CASES = [
    ({"completion": text, "gold": gold}, expected)
    for text, gold, expected in (
        (r"A is tempting, but \boxed{B}", "B", 1.0),
        ("The answer is (b).", "B", 1.0),
        ("Answer: B. Paris", " b", 1.0),
        ("B", "B", 1.0),
        ("A and B and C", "B", 0.0),
        (r"\boxed{C}", "B", 0.0),
        (r"\boxed{Z}", "Z", 0.0),
        ("", "B", 0.0),
        ("B", None, None),
    )
]
"""What it must say of each call."""


@rlkit.reward
def multiple_choice(
    completion: Completion, gold: str | None, *, choices: str = "ABCDE", thinking_tag: str | None = USUAL_TAG
) -> float | None:
    """Return 1.0 where the letter chosen is the gold one, else 0.0; None where there is no gold letter.

    Args:
        completion: text, or chat.
        gold: the right letter, in either case.
        choices: the letters that can be chosen.
        thinking_tag: of the reasoning that is left out, `think` for the usual ones; None takes completions whole.
    """
    if gold is None or not gold.strip():
        return None
    row = {"gold": gold, "choices": choices}
    (grade,) = ChoiceVerifier().grade([answer_text(completion, thinking_tag)], [row])
    return None if grade.correct is None else float(grade.correct)
