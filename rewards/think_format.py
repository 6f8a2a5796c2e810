"""1 when a completion reasons between tags and then answers outside of them, else 0.

    rewards: [math_verify, {name: think_format, prefilled: true}]
    reward_weights: [1.0, 0.1]

Beside a verifier and with a small weight: by itself it pays for any text in the right shape.
"""

from __future__ import annotations

import rlkit
from rlkit.types import Completion, completion_text

CASES = [
    ("<think>2+2 is 4</think>\n4", 1.0),
    ("  <think>\nlong\n\nthought</think>4", 1.0),
    ("<think></think>4", 0.0),
    ("<think>2+2 is 4</think>", 0.0),
    ("<think>never closed 4", 0.0),
    ("4 <think>afterwards</think> 4", 0.0),
    ("<think>a</think><think>b</think>4", 0.0),
    ("4", 0.0),
    ("", 0.0),
]
"""What it must say of each completion."""


@rlkit.reward
def think_format(
    completion: Completion, *, open_tag: str = "<think>", close_tag: str = "</think>", prefilled: bool = False
) -> float:
    """Return 1.0 for one block of reasoning, first and not empty, followed by an answer; else 0.0.

    Args:
        completion: text, or chat messages.
        open_tag, close_tag: what surrounds the reasoning.
        prefilled: whether the prompt ends with the opening tag, as some chat templates do.
    """
    text = completion_text(completion).strip()
    text = open_tag + text if prefilled else text
    if not text.startswith(open_tag) or text.count(open_tag) != 1 or text.count(close_tag) != 1:
        return 0.0
    reasoning, answer = text.removeprefix(open_tag).split(close_tag)
    return float(bool(reasoning.strip()) and bool(answer.strip()))
