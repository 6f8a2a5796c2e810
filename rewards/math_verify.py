r"""1 when the final answer of a completion equals the row's mathematically, else 0.

    rewards: [math_verify]

Rows bring the right answer as `gold`, or as `solution`, the column that TRL's own reward reads. It may be bare, in
`\boxed{...}` or after `####`. math-verify compares in processes of its own, with a deadline, so nothing needs to be
isolated: a comparison that hangs or crashes is not scored, and each pair of answers is compared once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlkit.errors import ConfigError
from rlkit.types import Completion
from rlkit.verifiers.answers import extract_final_answer
from rlkit.verifiers.mathematics import DEADLINE_S, judge_completions
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

CASES: list[tuple[dict[str, Any], list[float | None]]] = [
    ({"completions": [text], "gold": [gold]}, [expected])
    for text, gold, expected in (
        (r"so x is \boxed{\frac{1}{2}}", "0.5", 1.0),
        (r"first \boxed{3}, but then \boxed{x^2+2x+1}", "(x+1)^2", 1.0),
        (r"\boxed{\{2, 1\}}", r"\boxed{\{1,2\}}", 1.0),
        ("<answer>1,000</answer>", "so he pays 1000\n#### 1000", 1.0),
        (r"\boxed{3}", "4", 0.0),
        ("it is 4", "4", 0.0),
        (r"\boxed{4", "4", 0.0),
        (r"\boxed{4}", "", None),
    )
]
CASES.append(({"completions": ["it is 4", "it is 5"], "gold": [4, 4], "last_number": True}, [1.0, 0.0]))
"""What it must say of each batch."""


def math_verify(
    completions: Sequence[Completion],
    *,
    gold: Sequence[Any] | None = None,
    solution: Sequence[Any] | None = None,
    last_number: bool = False,
    deadline_s: float = DEADLINE_S,
    thinking_tag: str | None = USUAL_TAG,
    **columns: Any,
) -> list[float | None]:
    """Return 1.0 where the final answer is equal to the gold one, 0.0 where it is not or there is none.

    Args:
        completions: B texts, or chats.
        gold, solution: B right answers; one of the two.
        last_number: whether a completion that announces no answer answers with its last number.
        deadline_s: seconds that one comparison may take.
        thinking_tag: of the reasoning that is left out, `think` for the usual ones; None takes completions whole.
        columns: unused; other columns of the data.

    Returns:
        None where there is no gold answer, math-verify reads nothing in it, or the comparison failed or was late.

    Raises:
        ConfigError: neither column is there, or math-verify is not installed.
    """
    given = solution if gold is None else gold
    if given is None:
        raise ConfigError("math_verify found neither of the columns gold and solution; name one of yours like that.")
    golds = ["" if value is None else extract_final_answer(str(value)) or str(value).strip() for value in given]
    texts = [answer_text(completion, thinking_tag) for completion in completions]
    grades = judge_completions(texts, golds, last_number=last_number, deadline_s=deadline_s)
    return [
        None if not right or grade.correct is None else float(grade.correct)
        for right, grade in zip(golds, grades, strict=True)
    ]
