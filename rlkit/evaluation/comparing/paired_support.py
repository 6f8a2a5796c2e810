"""Which problems a run gained and lost against its base, by id: the list that engineers act on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import sharpening_index, support_table, thin_counts
from rlkit.estimators.support import SURELY_SOLVABLE
from rlkit.evaluation.comparing.pairing import Pairing


def compare_support(pairing: Pairing, seed: int = 0) -> dict[str, Any]:
    """Return the 2x2 table of solved problems with its statistics and the ids behind it.

    A problem is solved where at least one sample is correct. Where the two evaluations have unequally many samples of a
    problem, the larger one is thinned at random to the smaller, as more samples solve more.

    Returns:
        `{"both", "gained", "lost", "neither", "srr", "ndr", "sds", "nscr", "jaccard", "mcnemar_p", "num_defined",
        "num_total", "gained_ids", "lost_ids", "gained_at_threshold_ids", "lost_at_threshold_ids"}`. At the threshold
        are those that the other side solves in at least 4 samples of n, and so are no accident of few samples. Problems
        without a graded sample on both sides are in no count.
    """
    n_base, c_base, n_run, c_run = pairing.counts()
    shared = np.minimum(n_base, n_run)
    kept_base, kept_run = thin_counts(n_base, c_base, shared, seed), thin_counts(n_run, c_run, shared, seed)
    is_defined = shared > 0
    table = support_table(kept_base[is_defined] > 0, kept_run[is_defined] > 0)
    shares = {name: _or_none(getattr(table, name)) for name in ("srr", "ndr", "sds", "nscr", "jaccard")}
    return {
        **vars(table),
        **shares,
        "mcnemar_p": table.mcnemar_p,
        "num_defined": int(is_defined.sum()),
        "num_total": len(shared),
        "gained_ids": _ids(pairing, (kept_base == 0) & (kept_run > 0)),
        "lost_ids": _ids(pairing, (kept_base > 0) & (kept_run == 0)),
        "gained_at_threshold_ids": _ids(pairing, (kept_base == 0) & (kept_run >= SURELY_SOLVABLE)),
        "lost_at_threshold_ids": _ids(pairing, (kept_base >= SURELY_SOLVABLE) & (kept_run == 0)),
    }


def compare_sharpness(pairing: Pairing) -> dict[str, Any]:
    """Return how the run's success rates follow the base's on the logit scale, as `sharpening_index`."""
    found = sharpening_index(*pairing.counts())
    return {name: _or_none(value) for name, value in vars(found).items()}


def _ids(pairing: Pairing, chosen_M: NDArray[np.bool_]) -> list[str]:
    return [identity for identity, chosen in zip(pairing.ids, chosen_M.tolist(), strict=True) if chosen]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
