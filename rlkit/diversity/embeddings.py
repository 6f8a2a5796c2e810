"""Embeddings: one vector a text, so that similarity can be measured instead of decided by equality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rlkit.diversity.hashed_ngrams import HashedNgrams
from rlkit.diversity.sentence_embedding import SentenceEmbedding
from rlkit.errors import PluginError
from rlkit.parameters import show
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin

__all__ = [
    "EMBEDDINGS",
    "Embedding",
    "HashedNgrams",
    "SentenceEmbedding",
    "measure_cosines",
    "normalise_rows",
    "resolve_embedding",
]


@runtime_checkable
class Embedding(Protocol):
    """Turns texts into vectors, each text by itself."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors of shape (N, E), of any length; a row is all NaN where there is nothing to embed."""
        ...


EMBEDDINGS = PluginKind(
    "embedding",
    "rlkit.embeddings",
    {
        "hashed_ngrams": "rlkit.diversity.hashed_ngrams:HashedNgrams",
        "sentence_embedding": "rlkit.diversity.sentence_embedding:SentenceEmbedding",
    },
)


def resolve_embedding(spec: Any) -> Embedding:
    """Build the embedding that a recipe's `embedding:` names.

    Raises:
        PluginError: no such embedding, its parameters do not fit, or it is none.
        ConfigError: a parameter is not allowed.
    """
    embedding = resolve_plugin(spec, EMBEDDINGS)
    if isinstance(embedding, type) or not isinstance(embedding, Embedding):
        raise PluginError(f"The embedding {show(spec)} is {show(embedding)}, which has no embed().")
    return embedding


def normalise_rows(embeddings_NE: np.ndarray) -> np.ndarray:
    """Return the rows at length 1 in float64, shape (N, E); a row of zeros has no direction and becomes NaN."""
    embeddings_NE = np.asarray(embeddings_NE, dtype=np.float64)
    lengths_N1 = np.linalg.norm(embeddings_NE, axis=1, keepdims=True)
    return np.divide(embeddings_NE, lengths_N1, out=np.full_like(embeddings_NE, np.nan), where=lengths_N1 > 0)


def measure_cosines(embeddings_NE: np.ndarray) -> np.ndarray:
    """Return the cosine of every two rows, float64 of shape (N, N) in [-1, 1], symmetric; NaN for undefined rows."""
    unit_NE = normalise_rows(embeddings_NE)
    cosines_NN = unit_NE @ unit_NE.T
    return np.clip((cosines_NN + cosines_NN.T) / 2, -1.0, 1.0)
