"""Diversity of the solutions of one problem by their classes; `_at_K` is a mean over blocks of K samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.diversity.closure import label_by_first_seen
from rlkit.estimators import rarefied_distinct, simpson_diversity
from rlkit.evaluation.diversity.texts import BLOCKS, cut_blocks, mean_defined
from rlkit.evaluation.samples.grouping import class_of

RAREFIED = (4, 8)


def measure_classes(records: Sequence[Mapping[str, Any]], *, without_class: str, max_samples: int) -> dict[str, float]:
    """Return the diversity of the classes of samples by metric; NaN where there are too few for it.

    Args:
        records: lines of samples.jsonl of one problem, in order of sample number.
        without_class: what those without a class are, `own`: a class, or `left_out`. One that the verifier failed on is
            left out either way, for its class is not known.
        max_samples: so many go into blocks; what needs no blocks takes all.
    """
    known = [record for record in records if class_of(record) is not None or record["correct"] is not None]
    classed = [record for record in known if class_of(record) is not None]
    counted = known if without_class == "own" else classed
    labels = label_by_first_seen([class_of(record) for record in counted])
    counts = np.bincount(labels) if len(labels) else np.zeros(0, dtype=np.int64)
    values = {"parsed": len(classed) / len(known) if known else math.nan, "simpson": simpson_diversity(counts)}
    distinct_K = np.asarray(rarefied_distinct(counts, np.array(RAREFIED)))
    values |= {f"distinct_classes_at_{k}": value for k, value in zip(RAREFIED, distinct_K.tolist(), strict=True)}
    logps = np.array([_mean_logp(record) for record in counted[:max_samples]])
    for size in BLOCKS:
        blocks_BK = cut_blocks(np.arange(len(labels))[:max_samples], size)
        columns = measure_blocks(labels[blocks_BK], logps[blocks_BK]) if len(blocks_BK) else _NO_BLOCKS
        values |= {f"{name}_at_{size}": mean_defined(column_B) for name, column_B in columns.items()}
    return values


def measure_blocks(labels_BK: np.ndarray, logps_BK: np.ndarray) -> dict[str, np.ndarray]:
    """Return Hill numbers and semantic entropy of many blocks at once, a vector of shape (B,) each.

    What `hill_number` and `semantic_entropy` give block by block.

    Args:
        labels_BK: the class of each sample, from 0.
        logps_BK: mean log-probability of each, at most 0, NaN where unknown: the entropy of its block then is.
    """
    num_blocks, num_classes = len(labels_BK), int(labels_BK.max()) + 1
    places = (labels_BK + np.arange(num_blocks)[:, None] * num_classes).ravel()

    def shares(weights_BK: np.ndarray) -> np.ndarray:
        sums_BC = np.bincount(places, weights_BK.ravel(), num_blocks * num_classes).reshape(num_blocks, num_classes)
        return np.asarray(sums_BC / sums_BC.sum(axis=1, keepdims=True))

    largest_B1 = logps_BK.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        # Of a block in which all are impossible this is NaN as well.
        by_logp_BC = shares(np.exp(logps_BK - largest_B1))
    by_count_BC = shares(np.ones(labels_BK.shape))
    return {
        "hill_1": np.exp(_entropies(by_count_BC)),
        "hill_2": 1.0 / (by_count_BC**2).sum(axis=1),
        "semantic_entropy": _entropies(by_logp_BC),
    }


_NO_BLOCKS = dict.fromkeys(("hill_1", "hill_2", "semantic_entropy"), np.empty(0))


def _entropies(shares_BC: np.ndarray) -> np.ndarray:
    """Return the entropy of each row in nats."""
    logs_BC = np.log(np.where(shares_BC == 0.0, 1.0, shares_BC))
    return np.asarray(-(shares_BC * logs_BC).sum(axis=1)) + 0.0


def _mean_logp(record: Mapping[str, Any]) -> float:
    value = record.get("logp_mean")
    return math.nan if value is None else min(float(value), 0.0)
