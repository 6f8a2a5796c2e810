"""What a model thinks and what it then says: the text inside `<think>...</think>` and the text outside."""

from __future__ import annotations

import re
from typing import NamedTuple

from rlkit.errors import ConfigError
from rlkit.parameters import show

_NAME = re.compile(r"[A-Za-z][\w-]{0,63}")


class Parts(NamedTuple):
    """A completion, cut into its reasoning and what it says."""

    reasoning: str
    answer: str | None
    """None when the reasoning never ends, so that nothing is said."""


def check_thinking_tag(tag: object) -> None:
    """Raise ConfigError unless the tag is None (texts are taken whole) or a name such as `think`."""
    if tag is not None and not (isinstance(tag, str) and _NAME.fullmatch(tag)):
        raise ConfigError(
            f"thinking_tag was given as {show(tag)}; write the tag's name without brackets, such as think, or leave it "
            "empty to grade whole texts."
        )


def split_reasoning(text: str, tag: str = "think") -> Parts:
    """Return the reasoning of a completion and what it says outside of it.

    Reasoning is everything from an opening tag to the next closing one, or to the end of the text where none follows;
    an opening tag inside it is part of it. Where a closing tag has no opening one, the chat template had opened it, and
    all that stands before is reasoning. A text without such tags is an answer as it is. Time linear in the text.

    Source: METRICS.md, section 0.6.
    """
    thought: list[str] = []
    said: list[str] = []
    is_thinking, start = False, 0
    for mark in re.finditer(f"<(/?){re.escape(tag)}>", text):
        is_closing = bool(mark[1])
        if is_thinking and not is_closing:
            continue
        if is_closing and not is_thinking:
            thought += said
            said.clear()
        (thought if is_closing else said).append(text[start : mark.start()])
        is_thinking, start = not is_closing, mark.end()
    (thought if is_thinking else said).append(text[start:])
    answer = "".join(said)
    return Parts("".join(thought), None if is_thinking and not answer.strip() else answer)
