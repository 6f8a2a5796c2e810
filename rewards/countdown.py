r"""1 when an expression uses the row's `numbers` to reach its `target`, else 0; exact, with fractions.

    task: countdown
    rewards: [countdown]

The task's own reward, for its rows or yours: `format: chat` reads `\boxed{(3+5)*2}` or `<answer>...</answer>`, `tokens`
(the default) the steps of the bundled tiny model.
"""

from __future__ import annotations

from typing import Any

from rlkit.tasks.countdown import countdown_reward as countdown

__all__ = ["CASES", "countdown"]


def _case(text: str, expected: float, **columns: Any) -> tuple[dict[str, Any], list[float]]:
    row = {"numbers": [2, 3, 5, 8], "target": 24, "format": "chat"} | columns
    return {"completions": [text], **{name: [value] for name, value in row.items()}}, [expected]


CASES = [
    _case(r"\boxed{2*(3+5)+8}", 1.0),
    _case("so <answer>8 + 2 * (5 + 3)</answer>", 1.0),
    _case(r"\boxed{8/(3-8/3)}", 1.0, numbers=[3, 3, 8, 8]),
    _case(r"\boxed{24}", 0.0),
    _case(r"\boxed{8*3}", 0.0),
    _case(r"\boxed{8*3}", 1.0, use_all=False),
    _case(r"\boxed{8/0}", 0.0),
    _case(r"\boxed{2*(3+5)+8", 0.0),
    _case("", 0.0),
]
"""What it must say of each batch."""
