"""What all partitions of texts share: what of a completion is compared, and what empty and unfinished ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.diversity.closure import PairwisePartition, label_by_first_seen
from rlkit.errors import ConfigError, PluginError
from rlkit.parameters import check_choice, check_flag, name_in_recipes
from rlkit.verifiers.announcements import cut_after_answer, find_answer
from rlkit.verifiers.normalisation import EMPTY_CLASS
from rlkit.verifiers.reasoning import USUAL_TAG, blank_reasoning, check_thinking_tag

TRUNCATED_CLASS = "<truncated>"
"""Feature of a completion that was cut off before its final answer: all of those are one class."""
SENTINELS = (EMPTY_CLASS, TRUNCATED_CLASS)
"""Features that stand for a class of their own, whatever the partition."""


@dataclass(frozen=True, kw_only=True)
class TextPartition:
    """Cuts completions to what is compared; subclasses boil the texts down, several at a time.

    Completions without visible text are one class, `<empty>`. Those cut off before they announced a final answer
    (column `truncated`, where there is one) are one class too, `<truncated>`: an unfinished text says nothing of where
    it was going, and as classes of their own they would earn the largest bonus for diversity. Cut off while rambling on
    after a final answer, a completion is compared like any other.

    Raises:
        ConfigError: a parameter is not allowed; in `features`, the column `truncated` does not hold one bool a
            completion.
    """

    cut_after_answer: bool = True
    """Whether what follows the final answer is left out; see `rlkit.verifiers.cut_after_answer`."""
    truncated: str = "own"
    """Completions cut off before a final answer: `own` class, or `compare` them like finished ones."""
    thinking_tag: str | None = USUAL_TAG
    """Of reasoning, in which nothing is a final answer; see `rlkit.verifiers.answer_text`."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        check_flag(name_in_recipes(self), "cut_after_answer", self.cut_after_answer)
        check_choice(name_in_recipes(self), "truncated", self.truncated, ("own", "compare"))
        check_thinking_tag(self.thinking_tag)

    def features(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[Any]:
        """Return one small picklable feature a completion; of the columns, only `truncated` is looked at."""
        flags = self._flags(columns.get("truncated"), len(completions))
        texts = [self._prepare(text, flag) for text, flag in zip(completions, flags, strict=True)]
        plain = [text for text in texts if text not in SENTINELS]
        boiled = self.boil_down(plain)
        if len(boiled) != len(plain):
            raise PluginError(
                f"{name_in_recipes(self)} boiled {len(plain)} texts down to {len(boiled)} features; give one each."
            )
        compared = iter(boiled)
        return [text if text in SENTINELS else next(compared) for text in texts]

    def boil_down(self, texts: list[str]) -> list[Any]:
        """Return one feature for each text, none of which is blank."""
        raise NotImplementedError

    def _flags(self, flags: Sequence[Any] | None, num_texts: int) -> list[bool]:
        if flags is None or self.truncated == "compare":
            return [False] * num_texts
        values = [flag.item() if hasattr(flag, "item") else flag for flag in flags]
        if len(values) != num_texts or not all(isinstance(flag, bool) for flag in values):
            raise ConfigError(
                f"The column 'truncated' holds {flags!r}; {name_in_recipes(self)} takes one bool a completion, "
                "or write truncated: compare, and the column is not looked at."
            )
        return values

    def _prepare(self, text: str, was_truncated: bool) -> str:
        if not text.strip():
            return EMPTY_CLASS
        if was_truncated:
            found = find_answer(blank_reasoning(text, self.thinking_tag))
            # A line that the text breaks off in may be half an answer.
            if found is None or not (found.is_closed or "\n" in text[found.end :]):
                return TRUNCATED_CLASS
        return cut_after_answer(text, self.thinking_tag) if self.cut_after_answer else text


@dataclass(frozen=True, kw_only=True)
class KeyPartition(TextPartition):
    """A partition of texts by a key: equal keys are one class."""

    def labels(self, features_G: Sequence[str]) -> np.ndarray:
        """Return integer labels of shape (G,), numbered in the order in which keys first appear."""
        return label_by_first_seen(features_G)

    def equivalent(self, features_G: Sequence[str]) -> np.ndarray:
        """Return where keys are equal: bool of shape (G, G)."""
        labels_G = self.labels(features_G)
        return labels_G[:, None] == labels_G[None, :]


@dataclass(frozen=True, kw_only=True)
class PairwiseTextPartition(TextPartition, PairwisePartition):
    """A partition of texts by judging pairs; subclasses judge features that are no sentinels."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        TextPartition.__post_init__(self)
        PairwisePartition.__post_init__(self)

    def equivalent(self, features_G: Sequence[Any]) -> np.ndarray:
        """Return the pairwise judgement before closure: bool of shape (G, G), symmetric, the diagonal True."""
        equivalent_GG = np.eye(len(features_G), dtype=bool)
        sentinels_G = np.array([_name_sentinel(feature) for feature in features_G], dtype=object)
        for name in SENTINELS:
            places = np.flatnonzero(sentinels_G == name)
            equivalent_GG[np.ix_(places, places)] = True
        places = np.flatnonzero(sentinels_G == "")
        if len(places) > 1:
            judged_MM = np.asarray(self.judge([features_G[place] for place in places]), dtype=bool)
            if judged_MM.shape != (len(places), len(places)):
                raise PluginError(
                    f"{name_in_recipes(self)} gave judgements of shape {judged_MM.shape} of {len(places)} completions; "
                    "give one for each pair."
                )
            equivalent_GG[np.ix_(places, places)] |= judged_MM | judged_MM.T
        return equivalent_GG

    def judge(self, features_M: Sequence[Any]) -> np.ndarray:
        """Return bool of shape (M, M) for at least two features; what either triangle says counts for both."""
        raise NotImplementedError


def _name_sentinel(feature: Any) -> str:
    return feature if isinstance(feature, str) and feature in SENTINELS else ""
