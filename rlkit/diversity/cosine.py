"""Diversity of embeddings as mean cosines, in closed form: sums of unit vectors instead of matrices of pairs.

A text without an embedding (a row of NaN or zeros: a blank one) stands at a place of its own: cosine 1 with others of
its kind, 0 with every text. Cosines of unrelated texts are far from 0 with most encoders: compare within one encoder,
or over the distance between texts of different prompts (`rlkit.diversity.cross_input`).
"""

from __future__ import annotations

import math

import numpy as np

from rlkit.diversity.embeddings import normalise_rows
from rlkit.errors import ConfigError


def place_on_sphere(embeddings_NE: np.ndarray) -> np.ndarray:
    """Return the rows at length 1 with one axis more, on which rows without a direction lie; float64 (N, E + 1)."""
    embeddings_NE = np.asarray(embeddings_NE, dtype=np.float64)
    if embeddings_NE.ndim != 2:
        raise ConfigError(f"Embeddings have shape {embeddings_NE.shape}; write one row a text, shape (N, E).")
    unit_NE = normalise_rows(embeddings_NE)
    lost_N1 = np.isnan(unit_NE).any(axis=1, keepdims=True)
    return np.hstack([np.where(lost_N1, 0.0, unit_NE), lost_N1])


def mean_cosine_distance(embeddings_NE: np.ndarray) -> float:
    """Return one less the mean cosine of all pairs of different rows, in [0, 2]; unbiased in the number of texts.

    With unit vectors u, the mean cosine is `(|sum u|^2 - N) / (N (N - 1))`. NaN below two rows. With a sentence encoder
    this is the SBERT diversity of Kirk et al. 2024 (arXiv 2310.06452): name the encoder with the number, and mind that
    encoders cut long texts.

    Raises:
        ConfigError: not one row a text.
    """
    unit_NE = place_on_sphere(embeddings_NE)
    num = len(unit_NE)
    if num < 2:
        return math.nan
    # Rounding can put equal texts a hair below a distance of zero.
    return max(1.0 - (float(np.sum(unit_NE.sum(axis=0) ** 2)) - num) / (num * (num - 1)), 0.0)


def mean_cross_cosine(embeddings_a_NE: np.ndarray, embeddings_b_NE: np.ndarray) -> float:
    """Return the mean cosine of every row of one set with every row of another, in [-1, 1].

    It is `(sum u_a) . (sum u_b) / (N_a N_b)`: of two models' answers to one prompt the homogeneity of Infinity-Chat
    (arXiv 2510.22954), of a base and a checkpoint the drift between them. NaN where a set is empty. For one set with
    itself take `1 - mean_cosine_distance`, which leaves out each text's cosine with itself.

    Raises:
        ConfigError: not one row a text, or vectors of two lengths.
    """
    a_NE, b_NE = place_on_sphere(embeddings_a_NE), place_on_sphere(embeddings_b_NE)
    if a_NE.shape[1] != b_NE.shape[1]:
        lengths = f"{a_NE.shape[1] - 1} and {b_NE.shape[1] - 1}"
        raise ConfigError(f"Embeddings of lengths {lengths} were given; use one encoder for both.")
    return float(a_NE.sum(axis=0) @ b_NE.sum(axis=0)) / (len(a_NE) * len(b_NE)) if len(a_NE) and len(b_NE) else math.nan
