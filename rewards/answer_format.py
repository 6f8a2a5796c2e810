"""A small reward for keeping to the answer format: 1 when the completion closes exactly one final answer, else 0.

    rewards: [countdown, answer_format]
    reward_weights: [1.0, 0.1]

Give it a small weight beside a verifier: by itself it pays for any answer at all.
"""

from __future__ import annotations

import re

import rlkit
from rlkit.types import Completion
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

_ANSWER = re.compile(r"\\boxed\{[^{}]+\}|<answer>[^<]+</answer>")

CASES = [
    (r"so \boxed{(3+5)*2}", 1.0),
    ("<answer>8*3</answer>", 1.0),
    (r"\boxed{1} or rather \boxed{2}", 0.0),
    (r"\boxed{", 0.0),
    ("24", 0.0),
    ("", 0.0),
]
"""What it must say of each completion."""


@rlkit.reward
def answer_format(completion: Completion, *, thinking_tag: str | None = USUAL_TAG) -> float:
    """Return 1.0 when exactly one `\\boxed{...}` or `<answer>...</answer>` is there and not empty, else 0.0."""
    return float(len(_ANSWER.findall(answer_text(completion, thinking_tag))) == 1)
