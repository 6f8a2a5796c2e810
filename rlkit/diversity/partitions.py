"""Partitions: which completions of a group are the same answer in other clothes.

A partition works in two halves. `features` runs where the texts are (on every rank, for its own rows) and boils each
completion down to something small that can travel. `labels` is pure and runs on whole groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rlkit.arithmetic import solution_key
from rlkit.diversity.normalisation import normalise_text
from rlkit.errors import PluginError
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin


@runtime_checkable
class Partition(Protocol):
    """Splits the completions of one prompt into classes."""

    def features(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[Any]:
        """Return one small picklable feature a completion; `columns` are the data columns, one entry a completion."""
        ...

    def labels(self, features_G: Sequence[Any]) -> np.ndarray:
        """Return integer labels of shape (G,), numbered 0, 1, ... in the order in which classes first appear."""
        ...


def label_by_first_seen(keys_G: Sequence[Hashable]) -> np.ndarray:
    """Number keys in order of first appearance: `["b", "a", "b"]` gives `[0, 1, 0]`."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys_G], dtype=np.int64)


@dataclass(frozen=True)
class NormalisedText:
    """Two completions are the same when their normalised texts are equal."""

    def features(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[str]:
        return [normalise_text(text) for text in completions]

    def labels(self, features_G: Sequence[str]) -> np.ndarray:
        return label_by_first_seen(features_G)


@dataclass(frozen=True)
class CanonicalExpression:
    """Two completions are the same when their arithmetic agrees up to commutativity and associativity.

    `(3+5)*2`, `2*(5+3)` and the steps `3 + 5 [8] 2 * [8] [16]` are one class. A completion in which no arithmetic can
    be read is compared by its normalised text; empty ones are one class.
    """

    def features(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[str]:
        return [_expression_or_text(text) for text in completions]

    def labels(self, features_G: Sequence[str]) -> np.ndarray:
        return label_by_first_seen(features_G)


def _expression_or_text(text: str) -> str:
    key = solution_key(text)
    return f"expression:{key}" if key is not None else f"text:{normalise_text(text)}"


PARTITIONS = PluginKind(
    "partition",
    "rlkit.partitions",
    {
        "canonical_expression": "rlkit.diversity.partitions:CanonicalExpression",
        "normalised_text": "rlkit.diversity.partitions:NormalisedText",
    },
)


def resolve_partition(spec: Any) -> Partition:
    """Build the partition that a recipe's `partition:` names.

    Raises:
        PluginError: no such partition, its parameters do not fit, or it is none.
    """
    partition = resolve_plugin(spec, PARTITIONS)
    if not isinstance(partition, Partition):
        raise PluginError(f"The partition {spec!r} is {partition!r}, which has no features() and labels().")
    return partition
