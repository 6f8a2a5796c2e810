"""pass@k beyond the samples drawn, by a model of how success rates spread over problems: marked as what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.estimators import Interval, fit_beta_binomial
from rlkit.evaluation.metrics.cells import Problem, k_grid

_NUM_REFITS = 200
_FACTORS = (2, 4, 8)


def extrapolate(problems: Sequence[Problem], n: int, level: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """Return pass@k up to 8n by a beta-binomial fit, and its shapes.

    Args:
        problems: of report.json.
        n: samples a prompt. At k <= n the model stands beside the estimate, to be judged by it.
        level: of the intervals, percentiles of fits to resampled problems.
        seed: of the resamples.

    Returns:
        `{"model": "beta_binomial", "a", "b", "num_samples": n, "pass_at_k": {k: cell}}`; None where there is no fit,
        and limits None where more than one refit in ten has none.
    """
    counts = np.array([(each["num_samples"], each["num_correct"]) for each in problems], dtype=np.int64).reshape(-1, 2)
    pairs, multiplicity = np.unique(counts, axis=0, return_counts=True)
    fit = fit_beta_binomial(pairs[:, 0], pairs[:, 1], multiplicity)
    ks = [*k_grid(n), *(factor * n for factor in _FACTORS)]
    values = np.asarray(fit.pass_at_k(ks))
    limits = np.full((2, len(ks)), np.nan)
    if not np.isnan(fit.a):
        drawn = np.random.default_rng(seed).multinomial(len(problems), multiplicity / len(problems), size=_NUM_REFITS)
        refits = np.stack([fit_beta_binomial(pairs[:, 0], pairs[:, 1], each).pass_at_k(ks) for each in drawn])
        refits = refits[~np.isnan(refits[:, 0])]
        if len(refits) >= 0.9 * _NUM_REFITS:
            limits = np.quantile(refits, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    defined = 0 if np.isnan(fit.a) else fit.num_problems
    columns = zip(values.tolist(), *limits.tolist(), strict=True)
    cells = [Interval(value, low, high, defined, len(problems)).as_cell() for value, low, high in columns]
    return {
        "model": "beta_binomial",
        "a": None if np.isnan(fit.a) else fit.a,
        "b": None if np.isnan(fit.b) else fit.b,
        "num_samples": n,
        "pass_at_k": dict(zip(map(str, ks), cells, strict=True)),
    }
