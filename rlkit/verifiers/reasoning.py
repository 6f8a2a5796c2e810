"""What a model thinks and what it then says, which are as different in diversity as in length."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


def split_reasoning(text: str) -> tuple[str, str]:
    """Return the reasoning and the answer of a completion, `("", text)` where it has no `<think>` marks.

    The answer begins behind the last `</think>`. An opening mark may be missing, as chat templates put it into the
    prompt. Without a closing mark everything behind the opening one is reasoning, and the answer is what came before
    it: a completion cut off while thinking has answered nothing.
    """
    before, closing, answer = text.rpartition(_CLOSE)
    if closing:
        return before.replace(_OPEN, "", 1).replace(_CLOSE, "").strip(), answer.strip()
    answer, opening, reasoning = text.partition(_OPEN)
    return (reasoning.strip(), answer.strip()) if opening else ("", text)
