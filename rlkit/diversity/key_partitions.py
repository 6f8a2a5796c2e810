"""Partitions by a key of the text: what they call the same is equal, and nothing is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.diversity.text_partition import SENTINELS, KeyPartition
from rlkit.verifiers.answers import NO_ANSWER, read_answer, solution_key
from rlkit.verifiers.normalisation import normalise_text
from rlkit.verifiers.reasoning import answer_text


@dataclass(frozen=True, kw_only=True)
class NormalisedText(KeyPartition):
    """Two completions are the same when their normalised texts are equal (NFKC, case, white space)."""

    def boil_down(self, texts: list[str]) -> list[str]:
        return [normalise_text(text) for text in texts]


@dataclass(frozen=True, kw_only=True)
class CanonicalExpression(KeyPartition):
    """Two completions are the same when their arithmetic agrees up to commutativity and associativity.

    `(3+5)*2`, `2*(5+3)` and the steps `3 + 5 [8] 2 * [8] [16]` are one class. A completion in which no arithmetic can
    be read is compared by its normalised text. The arithmetic is that of the answer, not that of reasoning in tags.
    """

    def boil_down(self, texts: list[str]) -> list[str]:
        return [_expression_or_text(text, self.thinking_tag) for text in texts]


@dataclass(frozen=True, kw_only=True)
class FinalAnswer(KeyPartition):
    """Two completions are the same when they give the same final answer, however they got there.

    What stands in reasoning is no answer. See `rlkit.verifiers.read_answer` for what an answer is and how it is
    normalised. Completions without an answer are one class, NO_ANSWER, and so are here the empty ones and those cut off
    before an answer. Among correct completions nothing is different: this says how a group votes, not how it thinks.
    """

    def features(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[str]:
        """Return the answers as strings, NO_ANSWER where there is none."""
        found = super().features(completions, **columns)
        return [NO_ANSWER if answer in SENTINELS else answer for answer in found]

    def boil_down(self, texts: list[str]) -> list[str]:
        answers = [read_answer(answer_text(text, self.thinking_tag)) for text in texts]
        return [NO_ANSWER if answer is None else answer for answer in answers]


def _expression_or_text(text: str, thinking_tag: str | None) -> str:
    key = solution_key(answer_text(text, thinking_tag))
    return f"expression:{key}" if key is not None else f"text:{normalise_text(text)}"
