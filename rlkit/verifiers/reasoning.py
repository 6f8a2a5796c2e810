"""What a model thinks and what it then says: which part of a completion is the policy's answer."""

from __future__ import annotations

import re
from typing import NamedTuple

from rlkit.errors import ConfigError
from rlkit.parameters import show
from rlkit.types import Completion, own_turns

USUAL_TAG = "think"
"""Stands for every spelling of `_USUAL`; any other name is that tag alone."""
_NAME = re.compile(r"[A-Za-z][\w-]{0,63}")
_USUAL = re.compile(
    r"<(/?)(?:think|thinking|thoughts?|reasoning|scratchpad|seed:think)>"
    r"|\[(/?)THINK\]|<\|(?:begin|(end))_of_thought\|>|◁(/?)think▷",
    re.IGNORECASE,
)


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


def answer_text(completion: Completion, thinking_tag: str | None = USUAL_TAG) -> str:
    """Return the part of a completion that is the policy's answer, "" where its reasoning never ends.

    Of a chat only the assistant's turns count, a line apart, each without its reasoning; what tools, users and the
    system said is nobody's answer.

    Args:
        completion: text, or chat messages.
        thinking_tag: `think` leaves out reasoning in all the usual tags (see `split_reasoning`), another name that in
            `<name>...</name>` alone, None nothing.
    """
    turns = [completion] if isinstance(completion, str) else own_turns(completion)
    if thinking_tag is None:
        return "\n".join(turns)
    return "\n".join(split_reasoning(turn, thinking_tag).answer or "" for turn in turns)


def split_reasoning(text: str, tag: str = USUAL_TAG) -> Parts:
    """Return the reasoning of a completion and what it says outside of it.

    Reasoning is everything from an opening tag to the next closing one, or to the end of the text where none follows;
    an opening tag inside it is part of it. Where a closing tag has no opening one, the chat template had opened it, and
    all that stands before is reasoning. A text without such tags is an answer as it is. Time linear in the text.

    Args:
        text: what the policy wrote in one turn.
        tag: `think` stands for `<think>`, `<thinking>`, `<thought>`, `<thoughts>`, `<reasoning>`, `<scratchpad>`,
            `<seed:think>`, `[THINK]`, `<|begin_of_thought|>` and `◁think▷`, in either case; another name for that tag.

    Source: METRICS.md, section 0.6.
    """
    cut = _cut(text, tag)
    reasoning, answer = ("".join(text[start:end] for start, end in spans) for spans in (cut.thought, cut.said))
    return Parts(reasoning, None if cut.ends_thinking and not answer.strip() else answer)


def blank_reasoning(text: str, tag: str | None = USUAL_TAG) -> str:
    """Return a text of the same length with blanks for reasoning and its tags, so that places stay as they are."""
    if tag is None:
        return text
    pieces, place = [], 0
    for start, end in _cut(text, tag).said:
        pieces += [" " * (start - place), text[start:end]]
        place = end
    return "".join([*pieces, " " * (len(text) - place)])


class _Cut(NamedTuple):
    thought: list[tuple[int, int]]
    said: list[tuple[int, int]]
    ends_thinking: bool


def _cut(text: str, tag: str) -> _Cut:
    """Return where a text thinks and where it speaks, as spans in reading order."""
    marks = _USUAL if tag == USUAL_TAG else re.compile(f"<(/?){re.escape(tag)}>")
    thought: list[tuple[int, int]] = []
    said: list[tuple[int, int]] = []
    is_thinking, start = False, 0
    for mark in marks.finditer(text):
        is_closing = any(mark.groups())
        if is_thinking and not is_closing:
            continue
        if is_closing and not is_thinking:
            thought += said
            said.clear()
        (thought if is_closing else said).append((start, mark.start()))
        is_thinking, start = not is_closing, mark.end()
    (thought if is_thinking else said).append((start, len(text)))
    return _Cut(thought, said, is_thinking)
