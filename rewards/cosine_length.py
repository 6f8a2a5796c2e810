"""Length-shaped correctness: right answers earn more the shorter, wrong ones lose less the longer they are.

    rewards: [math_verify, {name: cosine_length, max_length: 4096}]

A modifier: it replaces what the rewards before it gave. A wrong answer is worth thinking longer about, a right one is
not worth repeating; at the limit itself the answer counts as exceeding it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import rlkit

CASES = [
    (
        {
            "completions": ["", "", "", "", ""],
            "lengths": [0, 50, 0, 50, 100],
            "base_rewards": [1.0, 1.0, 0.0, 0.0, 1.0],
            "max_length": 100,
        },
        [2.0, 1.5, -10.0, -5.0, -10.0],
    ),
    ({"completions": ["a", "b"], "lengths": [1, 1], "base_rewards": [None, None], "max_length": 9}, [None, None]),
]
"""What it must say of each group."""


@rlkit.group_reward(role="modifier")
def cosine_length(
    completions: Sequence[object],
    *,
    base_rewards: Sequence[float | None],
    lengths: Sequence[int],
    max_length: int = 16384,
    correct: tuple[float, float] = (2.0, 1.0),
    wrong: tuple[float, float] = (-10.0, 0.0),
    exceeded: float = -10.0,
    threshold: float = 0.5,
) -> list[float | None]:
    """Return a value between the ends of a half cosine over the length, by whether the base reward says correct.

    Args:
        completions: a group; what counts is their lengths.
        base_rewards: what the rewards before gave; None stays None.
        lengths: in tokens.
        max_length: limit of generation; completions that reach it get `exceeded`.
        correct, wrong: value at length 0 and at the limit.
        exceeded: value at the limit.
        threshold: base rewards above it are correct.

    Source: Yeo et al. 2025, "Demystifying Long Chain-of-Thought Reasoning in LLMs", arXiv 2502.03373,
    whose values are the defaults.
    """

    def shape(base: float | None, length: int) -> float | None:
        if base is None:
            return None
        if length >= max_length:
            return exceeded
        first, last = correct if base > threshold else wrong
        return last + 0.5 * (first - last) * (1.0 + math.cos(math.pi * length / max_length))

    return [shape(base, length) for base, length in zip(base_rewards, lengths, strict=True)]
