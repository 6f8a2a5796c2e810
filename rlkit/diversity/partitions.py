"""Partitions: which completions of a group are the same answer in other clothes.

A partition works in two halves. `features` runs where the texts are (on every rank, for its own rows) and boils each
completion down to something small that can travel. `labels` is pure and runs on whole groups; partitions that ask a
model or a server do so there, where the pairs are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rlkit.diversity.closure import label_by_first_seen
from rlkit.diversity.contract import judge_pairs
from rlkit.errors import PluginError
from rlkit.parameters import show
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin

__all__ = ["PARTITIONS", "Partition", "judge_pairs", "label_by_first_seen", "resolve_partition"]


@runtime_checkable
class Partition(Protocol):
    """Splits the completions of one prompt into classes.

    One that judges pairs has a third method, `equivalent(features_G)`, which returns the judgement before transitive
    closure, bool of shape (G, G); see `judge_pairs`.
    """

    def features(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[Any]:
        """Return one small picklable feature a completion; `columns` are the data columns, one entry a completion.

        The column `truncated`, where there is one, says which completions were cut off.
        """
        ...

    def labels(self, features_G: Sequence[Any]) -> np.ndarray:
        """Return integer labels of shape (G,), numbered 0, 1, ... in the order in which classes first appear."""
        ...


_HERE = "rlkit.diversity"

PARTITIONS = PluginKind(
    "partition",
    "rlkit.partitions",
    {
        "canonical_expression": f"{_HERE}.key_partitions:CanonicalExpression",
        "cross_encoder": f"{_HERE}.cross_encoder:CrossEncoder",
        "embedding": f"{_HERE}.overlap_partitions:EmbeddingPartition",
        "equation_set": f"{_HERE}.overlap_partitions:EquationSet",
        "final_answer": f"{_HERE}.key_partitions:FinalAnswer",
        "llm_judge": f"{_HERE}.llm_judge:LlmJudge",
        "ngram_overlap": f"{_HERE}.overlap_partitions:NgramOverlap",
        "normalised_text": f"{_HERE}.key_partitions:NormalisedText",
        "pair_classifier": f"{_HERE}.pair_classifier:PairClassifier",
        "syntax_tree": f"{_HERE}.syntax_tree:SyntaxTree",
    },
)


def resolve_partition(spec: Any) -> Partition:
    """Build the partition that a recipe's `partition:` names.

    Raises:
        PluginError: no such partition, its parameters do not fit, or it is none.
        ConfigError: a parameter is not allowed.
    """
    partition = resolve_plugin(spec, PARTITIONS)
    if not isinstance(partition, Partition):
        raise PluginError(f"The partition {show(spec)} is {show(partition)}, which has no features() and labels().")
    return partition
