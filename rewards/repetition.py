"""A penalty for saying the same again: minus the share of n-grams that a completion has had before.

    rewards: [math_verify, {name: repetition, n: 4}]
    reward_weights: [1.0, 0.5]

Long chains of thought learn to fill their length with repetitions; this takes off what they gain by it.
"""

from __future__ import annotations

import rlkit
from rlkit.diversity.lexical import distinct_n
from rlkit.types import Completion, completion_text

CASES = [
    ({"completion": "a b a b a b", "n": 2}, -0.6),
    ({"completion": "a b c d e f", "n": 2}, 0.0),
    ({"completion": "A  b\na B", "n": 2}, -1 / 3),
    ({"completion": "again again again again", "n": 1}, -0.75),
    ({"completion": "too short", "n": 3}, 0.0),
    ({"completion": "", "n": 2}, 0.0),
]
"""What it must say of each call."""


@rlkit.reward(role="penalty")
def repetition(completion: Completion, *, n: int = 4) -> float:
    """Return distinct-n of the completion less 1; range (-1, 0], and 0 for fewer than n words.

    Args:
        completion: text, or chat.
        n: words in a row that count as a repetition; text without spaces between words is one word.

    Raises:
        ConfigError: n is not a whole number of at least 1.

    Source: Yeo et al. 2025, "Demystifying Long Chain-of-Thought Reasoning in LLMs", arXiv 2502.03373,
    which takes a constant off each token of a repeated n-gram. Ours is one number for the whole completion, and a
    share, so that it does not grow with the length.
    """
    share = distinct_n([completion_text(completion)], n)
    return 0.0 if share != share else share - 1.0
