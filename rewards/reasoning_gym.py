"""The score that reasoning-gym's own scorer gives, from 0 to 1, for any of its puzzles.

    task: {name: reasoning_gym, dataset: chain_sum}
    rewards: [reasoning_gym]

The task's own reward. Rows bring `source`, what the puzzles are made from as JSON, and `index`, which of them it is, so
that the scorer has the whole puzzle, however large.
"""

from __future__ import annotations

import json
from typing import Any

from rlkit.tasks.reasoning_gym import reasoning_gym_reward as reasoning_gym

__all__ = ["CASES", "reasoning_gym"]


def _case(text: str, expected: float, dataset: str, **config: Any) -> tuple[dict[str, Any], list[float]]:
    source = json.dumps({"dataset": dataset, "seed": 2953987111, "size": 5, "config": config})
    return {"completions": [text], "source": [source], "index": [0]}, [expected]


CASES = [
    _case("236 - 301 is <answer>-65</answer>", 1.0, "chain_sum"),
    _case(r"\boxed{-65}", 1.0, "chain_sum"),
    _case("<answer>65</answer>", 0.0, "chain_sum"),
    _case("-65", 0.0, "chain_sum"),
    _case("", 0.0, "chain_sum"),
    _case("<answer>3</answer>", 1.0, "letter_counting"),
]
"""What it must say of each batch."""
