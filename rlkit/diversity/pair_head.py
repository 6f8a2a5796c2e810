"""A small classifier on pairs of embeddings: how likely two texts are the same, and the directory it is kept in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rlkit.assets
from rlkit.diversity.contract import read_vectors
from rlkit.diversity.embeddings import normalise_rows, resolve_embedding
from rlkit.errors import ConfigError, PluginError, suggest
from rlkit.files import write_json

FORMAT = 1
"""Version of the directory's layout; others are refused."""
WEIGHTS, CONFIG = "head.safetensors", "head.json"
"""Not config.json, which says of a directory that it is a model."""

FloatArray = NDArray[np.float32]

_MOST_LOGIT = 30.0
_SHAPES = {"first_weight_HF": 2, "first_bias_H": 1, "last_weight_H": 1, "last_bias": 0}


@dataclass(frozen=True, eq=False)
class PairHead:
    """One hidden layer (or none) on symmetric features of two embeddings; the pair's order cannot matter.

    P(same) = sigmoid(last_weight_H . relu(first_weight_HF x_F + first_bias_H) + last_bias), with x_F from
    `compare_embeddings`. Without a hidden layer, logistic regression, `first_*` are absent and `last_weight_H` has F
    entries. Standardisation and temperature of the fit are folded into the weights.
    """

    embedding: Sequence[Any]
    """Embeddings as a recipe names them; their vectors are put side by side."""
    weights: Mapping[str, FloatArray]
    threshold: float
    """Two texts count as the same from this P(same) on."""
    measured: Mapping[str, Any]
    """What fitting measured, as JSON types; see `rlkit.diversity.pair_fitting.fit_head`."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return the texts' vectors, see `embed_texts`."""
        return embed_texts(self.embedding, texts)

    def score(self, left_NE: FloatArray, right_NE: FloatArray) -> NDArray[np.float64]:
        """Return P(same) of N pairs, float64 of shape (N,), for vectors from `embed`.

        Raises:
            ConfigError: the vectors are not of the length that the head was fitted to.
        """
        pairs_NF = compare_embeddings(left_NE, right_NE)
        fitted_to = self.weights["first_weight_HF" if "first_weight_HF" in self.weights else "last_weight_H"].shape[-1]
        if pairs_NF.shape[1] != fitted_to:
            raise ConfigError(
                f"The embedding {self.embedding!r} gives {left_NE.shape[1]} numbers a text, but the pair head was "
                f"fitted to {(fitted_to - 1) // 2}; fit it again."
            )
        if "first_weight_HF" in self.weights:
            pairs_NF = np.maximum(pairs_NF @ self.weights["first_weight_HF"].T + self.weights["first_bias_H"], 0.0)
        logits_N = pairs_NF @ self.weights["last_weight_H"] + self.weights["last_bias"]
        # Short of 0 and 1, so that there is room for a threshold on either side.
        return 1.0 / (1.0 + np.exp(-np.clip(logits_N.astype(np.float64), -_MOST_LOGIT, _MOST_LOGIT)))

    def save(self, directory: str | Path) -> None:
        """Write `head.safetensors` and `head.json`; an older head there is replaced.

        Raises:
            ConfigError: the path is a file, or a directory that holds something else.
        """
        from safetensors.numpy import save

        folder = check_output(directory)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).write_bytes(save({name: np.array(array, order="C") for name, array in self.weights.items()}))
        config = {
            "format": FORMAT,
            "embedding": list(self.embedding),
            "threshold": self.threshold,
            "measured": self.measured,
        }
        write_json(folder / CONFIG, config)


def embed_texts(embedding: Sequence[Any], texts: Sequence[str]) -> FloatArray:
    """Return the texts' vectors, float32 of shape (N, E): each embedding at length 1, all side by side.

    A row is NaN where one of the embeddings has no vector for the text.
    """
    blocks = [normalise_rows(read_vectors(resolve_embedding(spec), texts)) for spec in embedding]
    vectors_NE = np.concatenate(blocks, axis=1).astype(np.float32)
    vectors_NE[np.isnan(vectors_NE).any(axis=1)] = np.nan
    return vectors_NE


def compare_embeddings(left_NE: FloatArray, right_NE: FloatArray) -> FloatArray:
    """Return what the classifier sees of N pairs: |a - b|, a * b and a . b, float32 of shape (N, F), F = 2 E + 1."""
    product_NE = left_NE * right_NE
    return np.concatenate([np.abs(left_NE - right_NE), product_NE, product_NE.sum(axis=1, keepdims=True)], axis=1)


def check_output(directory: str | Path) -> Path:
    """Return where a head may be written: a new or empty directory, or one that holds a head.

    Raises:
        ConfigError: it is a file, or holds something else.
    """
    folder = Path(directory).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; a pair head is a directory: choose a new one.")
    others = sorted({path.name for path in folder.iterdir()} - {WEIGHTS, CONFIG}) if folder.is_dir() else []
    if others:
        raise ConfigError(f"{folder} holds {others[0]!r}, which is no part of a pair head; choose a new directory.")
    return folder


def shipped_heads() -> list[str]:
    """Return the names of the heads that travel with the package."""
    return sorted(path.parent.name for path in _assets().glob(f"*/{CONFIG}"))


def locate_head(name: str) -> Path:
    """Return the directory of a head: a path, else the name of one that travels with the package.

    Raises:
        PluginError: there is neither.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise PluginError(f"The directory {name!r} holds no {CONFIG}; write one that rlkit partition fit has made.")
        return folder
    if name in shipped_heads():
        return _assets() / name
    raise PluginError(
        f"No pair head is called {name!r}, and there is no such directory.{suggest(name, shipped_heads())}"
    )


def load_head(name: str) -> PairHead:
    """Return the head of that name or directory; read once a process, and again when it has been replaced.

    Raises:
        PluginError: there is none, or the directory is incomplete, damaged or of another version.
    """
    folder = locate_head(name).resolve()
    stamps = [path.stat().st_mtime_ns if path.is_file() else 0 for path in (folder / CONFIG, folder / WEIGHTS)]
    return _load_head(folder, *stamps)


@lru_cache(maxsize=16)
def _load_head(folder: Path, config_stamp: int, weights_stamp: int) -> PairHead:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = json.loads((folder / CONFIG).read_text())
        if config["format"] != FORMAT:
            raise PluginError(
                f"The pair head in {folder} has format {config['format']!r}, this version reads {FORMAT}; fit it again."
            )
        head = PairHead(
            list(config["embedding"]), load_file(folder / WEIGHTS), config["threshold"], dict(config["measured"])
        )
        _check_head(head)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise PluginError(f"The pair head in {folder} cannot be read ({reason}); fit it again.") from error
    return head


def _check_head(head: PairHead) -> None:
    names = {*head.weights}
    if names not in ({*_SHAPES}, {"last_weight_H", "last_bias"}):
        raise ValueError(f"the weights are {sorted(names)}")
    for name, array in head.weights.items():
        if array.ndim != _SHAPES[name] or not np.isfinite(array).all():
            raise ValueError(f"{name} has shape {array.shape} or is not finite")
    if "first_weight_HF" in names:
        num_hidden = {head.weights[name].shape[0] for name in ("first_weight_HF", "first_bias_H", "last_weight_H")}
        if len(num_hidden) != 1:
            raise ValueError(f"the weights are for {sorted(num_hidden)} hidden units")
    is_number = isinstance(head.threshold, int | float) and not isinstance(head.threshold, bool)
    if not is_number or math.isnan(head.threshold) or not 0 < head.threshold <= 1:
        raise ValueError(f"the threshold is {head.threshold!r}")


def _assets() -> Path:
    return Path(rlkit.assets.__file__).parent
