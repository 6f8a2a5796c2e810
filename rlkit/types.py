"""The nouns every layer shares: prompts, rows, completions, grades.

Axes used in names throughout: P prompts of one generation batch over all ranks, G completions per prompt,
B = P * G rows in world order, T completion tokens, V vocabulary, K reward functions, C classes of a partition.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Message = dict[str, str]
"""One chat turn: `{"role": ..., "content": ...}`."""

Prompt = str | list[Message]
"""A prompt is plain text for a completion model or a list of messages for a chat model."""

Completion = str | list[Message]
"""What TRL hands to rewards: text for plain prompts, for chat prompts a list of messages, those of tools among them."""

Row = dict[str, Any]
"""One problem: `"id"` (unique string), `"prompt"` (Prompt) and the gold columns its task needs for grading."""

PluginSpec = str | dict[str, Any] | Any
"""How a plug-in is named: `"name"`, `{"name": ..., param: ...}`, `"file.py:thing"`, `"module:thing"` or the object."""


@dataclass(frozen=True, init=False)
class Grade:
    """What a verifier says of one completion."""

    correct: bool | None
    """True or False; None when the completion could not be judged (never a silent False)."""
    label: str
    """One lower_snake_case word: `correct`, or the reason why not (`malformed`, `wrong_target`, ...)."""
    answer: str | None = None
    """Canonical key of the solution: equal keys mean the same solution; None when there is none to speak of."""

    def __init__(
        self, correct: bool | None, label: str | None = None, answer: str | None = None, *, verdict: str | None = None
    ) -> None:
        """Take the fields; `verdict` is the label's older name, which tasks of users may still say."""
        if verdict is not None:
            _say_renamed()
        if (word := verdict if label is None else label) is None:
            raise TypeError("a grade needs a label: one word for what the completion is, such as 'correct'")
        for name, value in (("correct", correct), ("label", word), ("answer", answer)):
            object.__setattr__(self, name, value)

    @property
    def verdict(self) -> str:
        """The label, under its older name."""
        _say_renamed()
        return self.label


def _say_renamed() -> None:
    warnings.warn("Grade.verdict is now Grade.label; write label.", FutureWarning, stacklevel=3)


@runtime_checkable
class Task(Protocol):
    """A source of prompts together with the verifier that grades answers to them.

    A task may also have `grade_all(completions, rows) -> list[Grade]`, which judges several completions, each of its
    own row, as `grade` would, and need not judge twice what is there twice.
    """

    name: str

    def load(self, split: str) -> list[Row]:
        """Return the rows of `train`, `test` or another split the task names; the same rows on every call."""
        ...

    def grade(self, completion: str, row: Row) -> Grade:
        """Judge one completion (plain text) of the problem `row`; never raises on any text."""
        ...

    def validate(self) -> None:
        """Prove, without a model, that gold answers grade as correct and damaged ones do not; raises otherwise."""
        ...


def completion_text(completion: Completion) -> str:
    """Return what the policy wrote, reasoning included: a text as it is, of a chat the assistant's turns, a line apart.

    What tools, users and the system said in the course of a completion is left out, and so are pictures. See
    `rlkit.verifiers.answer_text` for the part of it that is graded.
    """
    if isinstance(completion, str):
        return completion
    return "\n".join(own_turns(completion))


def own_turns(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the text of each of the policy's turns in a chat; a message that names no role is one."""
    return [_content(message) for message in messages if message.get("role", "assistant") == "assistant"]


def prompt_text(prompt: Prompt) -> str:
    """Return the text of a prompt, whether plain or a list of chat messages (all their contents, a line apart)."""
    return prompt if isinstance(prompt, str) else "\n".join(_content(message) for message in prompt)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content if isinstance(part, Mapping))
