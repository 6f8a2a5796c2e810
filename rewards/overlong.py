"""DAPO's soft punishment of length: 0 up to a soft limit, then down a slope to -1 at the hard one.

    rewards: [math_verify, {name: overlong, max_length: 4096, margin: 1024}]

`max_length` is what the run may generate, `train.max_completion_length`: a completion cut there gets the full -1.
"""

from __future__ import annotations

import rlkit
from rlkit.errors import ConfigError

CASES = [
    ({"completion": "", "completion_ids": [0] * length, "max_length": 100, "margin": 20}, expected)
    for length, expected in ((70, 0.0), (80, 0.0), (90, -0.5), (100, -1.0), (101, -1.0))
]
"""What it must say of each call."""


@rlkit.reward(role="penalty")
def overlong(completion: object, completion_ids: list[int], *, max_length: int = 20480, margin: int = 4096) -> float:
    """Return min(0, max(-1, (max_length - margin - L) / margin)) for a completion of L tokens; range [-1, 0].

    Args:
        completion: unused; what counts is its tokens.
        completion_ids: its tokens.
        max_length: hard limit, in tokens.
        margin: length of the slope before it, in tokens; the paper's cache.

    Raises:
        ConfigError: the margin is not between 1 and max_length.

    Source: DAPO, arXiv 2503.14476, with its limits of 20480 and 4096.
    """
    if not 1 <= margin <= max_length:
        raise ConfigError(
            f"overlong was given margin={margin} and max_length={max_length}; write 1 <= margin <= max_length."
        )
    return min(0.0, max(-1.0, (max_length - margin - len(completion_ids)) / margin))
