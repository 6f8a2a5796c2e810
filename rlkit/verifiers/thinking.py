"""What a completion says once its reasoning is done: the text without `<think>...</think>`."""

from __future__ import annotations

import re

from rlkit.errors import ConfigError
from rlkit.parameters import show

_NAME = re.compile(r"[A-Za-z][\w-]{0,63}")


def check_thinking_tag(tag: object) -> None:
    """Raise ConfigError unless the tag is None (texts are taken whole) or a name such as `think`."""
    if tag is not None and not (isinstance(tag, str) and _NAME.fullmatch(tag)):
        raise ConfigError(
            f"thinking_tag was given as {show(tag)}; write the tag's name without brackets, such as think, or leave it "
            "empty to grade whole texts."
        )


def strip_thinking(text: str, tag: str = "think") -> str | None:
    """Return what a text says outside its reasoning; None when its reasoning never ends, so that nothing is said.

    Reasoning is everything from an opening tag to the next closing one, or to the end of the text where none follows;
    an opening tag inside it is part of it. Where a closing tag has no opening one, the chat template had opened it, and
    all that stands before is reasoning. A text without such tags is returned as it is. Time linear in the text.

    Source: METRICS.md, section 0.6.
    """
    said: list[str] = []
    is_thinking, start = False, 0
    for mark in re.finditer(f"<(/?){re.escape(tag)}>", text):
        if mark[1]:
            if not is_thinking:
                said.clear()
            is_thinking, start = False, mark.end()
        elif not is_thinking:
            said.append(text[start : mark.start()])
            is_thinking = True
    if not is_thinking:
        said.append(text[start:])
    rest = "".join(said)
    return None if is_thinking and not rest.strip() else rest
