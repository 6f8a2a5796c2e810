"""pass@k beyond the samples drawn, by a model of how success rates spread over problems: marked as what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.estimators import Interval, fit_beta_binomial
from rlkit.evaluation.metrics.cells import Problem, k_grid

_FACTORS = (2, 4, 8)


def extrapolate(problems: Sequence[Problem], n: int) -> dict[str, Any]:
    """Return pass@k up to 8n by a beta-binomial fit, and its shapes.

    Args:
        problems: of report.json.
        n: samples a prompt. At k <= n the model stands beside the estimate, to be judged by it.

    Returns:
        `{"model": "beta_binomial", "a", "b", "num_samples": n, "pass_at_k": {k: cell}}`; None where there is no fit.
        Limits are None: those of refits know nothing of success rates that follow no Beta distribution, and held the
        truth at 8n in 3 to 85 of 100 simulated evaluations.
    """
    counts = np.array([(each["num_samples"], each["num_correct"]) for each in problems], dtype=np.int64).reshape(-1, 2)
    pairs, multiplicity = np.unique(counts, axis=0, return_counts=True)
    fit = fit_beta_binomial(pairs[:, 0], pairs[:, 1], multiplicity)
    ks = [*k_grid(n), *(factor * n for factor in _FACTORS)]
    values = np.asarray(fit.pass_at_k(ks))
    defined = 0 if np.isnan(fit.a) else fit.num_problems
    cells = [Interval(value, np.nan, np.nan, defined, len(problems)).as_cell() for value in values.tolist()]
    return {
        "model": "beta_binomial",
        "a": None if np.isnan(fit.a) else fit.a,
        "b": None if np.isnan(fit.b) else fit.b,
        "num_samples": n,
        "pass_at_k": dict(zip(map(str, ks), cells, strict=True)),
    }
