"""Diversity of the solutions of one problem by their classes; `_at_K` is a mean over blocks of K samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.diversity.closure import label_by_first_seen
from rlkit.diversity.meanings import semantic_entropy
from rlkit.estimators import hill_number, rarefied_distinct, simpson_diversity
from rlkit.evaluation.diversity.texts import BLOCKS, cut_blocks, mean_defined
from rlkit.evaluation.samples.index import class_of

RAREFIED = (4, 8)
HILL_ORDERS = (1, 2)


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
    values |= {f"distinct_classes_at_{k}": float(rarefied_distinct(counts, k)) for k in RAREFIED}
    logps = np.array([_mean_logp(record) for record in counted[:max_samples]])
    for size in BLOCKS:
        blocks_BK = cut_blocks(np.arange(len(labels))[:max_samples], size)
        counts_B = [np.bincount(labels[block]) for block in blocks_BK]
        for order in HILL_ORDERS:
            values[f"hill_{order}_at_{size}"] = mean_defined([hill_number(each, order) for each in counts_B])
        entropies = [semantic_entropy(labels[block], logps[block]) for block in blocks_BK]
        values[f"semantic_entropy_at_{size}"] = mean_defined(entropies)
    return values


def _mean_logp(record: Mapping[str, Any]) -> float:
    value = record.get("logp_mean")
    return math.nan if value is None else min(float(value), 0.0)
