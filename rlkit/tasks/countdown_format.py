"""What Countdown problems and answers look like as text: the compact token format and the chat format.

Tokens: the prompt `2 3 5 8 ->24` lists the numbers in ascending order, then the target. An answer is a chain of steps
of four tokens, `3 + 5 [8] [8] * 2 [16] [16] + 8 [24]`: a bare `8` is a given number, `[8]` is the earlier result that
was announced as `[8]`, so it is never in doubt which 8 is meant. Chat: an instruction in words; the answer is one
expression in `\\boxed{}` or `<answer>`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.types import Message

FORMATS = ("tokens", "chat")
OPERATORS = "+-*/"


def result_token(value: int) -> str:
    """Return the token that announces a step's result and later stands for it."""
    return f"[{value}]"


def target_token(target: int) -> str:
    """Return the token that states the target."""
    return f"->{target}"


def tokens_prompt(numbers: Sequence[int], target: int) -> str:
    """Return the prompt of the token format; numbers are listed in ascending order."""
    return " ".join([*map(str, sorted(numbers)), target_token(target)])


def chat_prompt(numbers: Sequence[int], target: int, use_all: bool) -> list[Message]:
    """Return the prompt of the chat format: one user message with the rules and the form of the answer."""
    use = "every number exactly once" if use_all else "each number at most once"
    listed = ", ".join(map(str, sorted(numbers)))
    content = (
        f"Using the numbers {listed}, write an arithmetic expression that equals {target}. Use {use}, the operations "
        "+, -, *, / and parentheses, and no other numbers. Think first, then put only the expression in \\boxed{}."
    )
    return [{"role": "user", "content": content}]
