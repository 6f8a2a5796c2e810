"""Calls to partitions and embeddings, which anyone may write: what they return is what was asked for, or one sentence.

Labels of another length, vectors in other rows and judgements that are no matrix would not fail where they are made:
they would compare the wrong completions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rlkit.errors import PluginError, RlkitError
from rlkit.parameters import name_in_recipes, show
from rlkit.plugins import blame_plugin


def read_features(partition: Any, completions: Sequence[str], **columns: Sequence[Any]) -> list[Any]:
    """Return a partition's features of texts, one a completion.

    Raises:
        PluginError: it raises, or gives another number of features.
    """
    what = _name(partition, "partition")
    copies = {name: list(values) for name, values in columns.items()}
    features = _call(what, partition.features, list(completions), **copies)
    if isinstance(features, str) or not hasattr(features, "__len__") or len(features) != len(completions):
        raise PluginError(f"{what} gave {_count(features)} of {len(completions)} completions; give one each.")
    return list(features)


def label_group(partition: Any, features_G: Sequence[Any]) -> np.ndarray:
    """Return a partition's classes of a group, int64 of shape (G,).

    Raises:
        PluginError: it raises, or gives anything but one whole number, 0 or more, a completion.
    """
    what = _name(partition, "partition")
    labels_G = _to_array(_call(what, partition.labels, _copy_features(features_G)))
    fits = labels_G.shape == (len(features_G),) and labels_G.dtype.kind in "iufb"
    # NaN fails both comparisons.
    if not fits or not ((labels_G >= 0) & (labels_G < 2**53)).all() or (labels_G % 1 != 0).any():
        raise PluginError(
            f"{what} gave the labels {show(labels_G.tolist())} to {len(features_G)} completions; give one whole "
            "number, 0 or more, each."
        )
    return labels_G.astype(np.int64)


def judge_pairs(partition: Any, features_G: Sequence[Any]) -> np.ndarray:
    """Return which completions a partition judges the same, pair by pair: bool of shape (G, G), the diagonal True.

    Before transitive closure where the partition has `equivalent`; else equality of its labels.

    Raises:
        PluginError: it raises, or gives anything but a square of truth values.
    """
    judge = getattr(partition, "equivalent", None)
    if judge is None:
        labels_G = label_group(partition, features_G)
        return labels_G[:, None] == labels_G[None, :]
    what, size = _name(partition, "partition"), len(features_G)
    judged_GG = _to_array(_call(what, judge, _copy_features(features_G)))
    if judged_GG.shape != (size, size) or not np.isin(judged_GG, (0, 1)).all():
        raise PluginError(
            f"{what} gave judgements of shape {judged_GG.shape} of {size} completions; give True or False for each "
            f"pair, shape {(size, size)}."
        )
    judged_GG = judged_GG.astype(bool) | np.eye(size, dtype=bool)
    if not np.array_equal(judged_GG, judged_GG.T):
        left, right = np.argwhere(judged_GG & ~judged_GG.T)[0].tolist()
        raise PluginError(
            f"{what} judges completion {left} the same as {right}, but not {right} as {left}; judge both ways alike."
        )
    return judged_GG


def read_vectors(embedding: Any, texts: Sequence[str]) -> np.ndarray:
    """Return an embedding's vectors of texts, float32 of shape (N, E); a row is all NaN where there is no vector.

    Raises:
        PluginError: it raises, gives other than one vector of at least one finite number a text.
    """
    if not texts:
        return np.empty((0, 0), dtype=np.float32)
    what = _name(embedding, "embedding")
    embeddings_NE = _to_array(_call(what, embedding.embed, list(texts)))
    if embeddings_NE.ndim != 2 or len(embeddings_NE) != len(texts) or embeddings_NE.shape[1] == 0:
        raise PluginError(
            f"{what} gave vectors of shape {embeddings_NE.shape} for {len(texts)} texts; give one row of numbers each."
        )
    if embeddings_NE.dtype.kind not in "iufb":
        raise PluginError(f"{what} gave vectors of {embeddings_NE.dtype}; give numbers, a row of NaN for no vector.")
    with np.errstate(over="ignore"):
        embeddings_NE = embeddings_NE.astype(np.float32)
    if np.isinf(embeddings_NE).any():
        raise PluginError(f"{what} gave a vector with an infinite number; give finite ones, or a row of NaN.")
    embeddings_NE[np.isnan(embeddings_NE).any(axis=1)] = np.nan
    return embeddings_NE


def _call(what: str, function: Callable[..., Any], *args: Any, **columns: Any) -> Any:
    try:
        return function(*args, **columns)
    except RlkitError:
        raise
    except Exception as error:
        raise blame_plugin(error, what) from error


def _copy_features(features_G: Sequence[Any]) -> list[Any]:
    # What a plug-in writes to is its own: features are read again, for pairs and for other groups.
    return [each.copy() if isinstance(each, np.ndarray | list | dict | set) else each for each in features_G]


def _to_array(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        # Rows of different lengths.
        return np.empty(0, dtype=object)


def _name(plugin: Any, word: str) -> str:
    return f"The {word} {name_in_recipes(plugin)!r}"


def _count(features: Any) -> str:
    return f"{len(features)} features" if isinstance(features, list | tuple | np.ndarray) else show(features)
