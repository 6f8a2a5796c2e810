"""The partition of a classifier fitted on labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.diversity.pair_head import load_head
from rlkit.diversity.text_partition import PairwiseTextPartition
from rlkit.parameters import check_number, check_text
from rlkit.verifiers.normalisation import EMPTY_CLASS


@dataclass(frozen=True, kw_only=True)
class PairClassifier(PairwiseTextPartition):
    """Two completions are the same when a fitted pair head gives P(same) of at least `threshold`.

    DARLING (arXiv 2509.02534) fine-tunes a whole encoder on judged pairs and puts the threshold at 0.5; here a small
    head is fitted in seconds on frozen embeddings (`rlkit partition fit`), and its threshold is calibrated so that
    union-find rarely merges what is different. It knows only the kind of texts that it was fitted on. Equal vectors
    are the same whatever the head says of them; a text that the embedding has no vector for counts as empty.

    Raises:
        PluginError: there is no such head, or it cannot be read.
        ConfigError: a parameter is not allowed.
    """

    path: str = "countdown-pairs"
    """A directory that `rlkit partition fit` has written, or the name of a head that travels with the package."""
    threshold: float | None = None
    """Smallest P(same), in (0, 1]; None takes the calibrated one."""

    def __post_init__(self) -> None:
        """Check every parameter, and that the head can be read."""
        super().__post_init__()
        check_text("pair_classifier", "path", self.path)
        if self.threshold is not None:
            check_number("pair_classifier", "threshold", self.threshold, above=0, at_most=1)
        load_head(self.path)

    def boil_down(self, texts: list[str]) -> list[Any]:
        """Return the vector of each text, float32 of shape (E,)."""
        if not texts:
            return []
        return [EMPTY_CLASS if np.isnan(row_E).any() else row_E for row_E in load_head(self.path).embed(texts)]

    def judge(self, features_M: Sequence[np.ndarray]) -> np.ndarray:
        """Return where P(same) reaches the threshold, bool of shape (M, M)."""
        head = load_head(self.path)
        threshold = head.threshold if self.threshold is None else self.threshold
        vectors_ME = np.stack(list(features_M))
        left, right = np.triu_indices(len(vectors_ME), k=1)
        is_equal = (vectors_ME[left] == vectors_ME[right]).all(axis=1)
        same_MM = np.eye(len(vectors_ME), dtype=bool)
        same_MM[left, right] = is_equal | (head.score(vectors_ME[left], vectors_ME[right]) >= threshold)
        return same_MM | same_MM.T
