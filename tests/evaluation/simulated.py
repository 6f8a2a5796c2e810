"""Reports of simulated models: success rates in, graded samples drawn, everything that a comparison reads out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def simulate_report(
    name: str,
    rates_M: FloatArray,
    n: int,
    seed: int,
    *,
    entropies_M: FloatArray | float = 1.0,
    diversity: dict[str, dict[str, FloatArray]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return the report of n samples a problem, drawn at the given success rates.

    Args:
        entropies_M: answer entropy of each problem.
        diversity: `{"all": {measure: values_M}, "correct": {...}}`.
    """
    correct = np.random.default_rng(seed).binomial(n, rates_M)
    entropies = np.broadcast_to(entropies_M, rates_M.shape).tolist()
    problems = [make_problem(at, n, int(c), entropies[at], diversity) for at, c in enumerate(correct)]
    return make_report(name, n, problems, **changes)


def make_problem(
    at: int, n: int, c: int, entropy: float, diversity: dict[str, dict[str, FloatArray]] | None = None
) -> dict[str, Any]:
    """Return one entry of `problems`, with up to three distinct correct answers."""
    problem: dict[str, Any] = {
        "id": f"p{at}",
        "prompt": f"prompt {at}",
        "num_samples": n,
        "num_correct": c,
        "num_distinct_correct": min(c, 3),
        "num_solutions": 5,
        "num_unscored": 0,
        "num_truncated": 0,
        "classes": {str(j): len(range(j, c, 3)) for j in range(min(c, 3))},
        "labels": {},
        "answer_entropy": entropy,
        "token_entropy": 1.0 + at / 100,
        "surprisal": 1.0,
        "num_tokens": 10.0,
    }
    if diversity is not None:
        problem["diversity"] = {
            part: {measure: None if np.isnan(values[at]) else float(values[at]) for measure, values in measures.items()}
            for part, measures in diversity.items()
        }
    return problem


def make_report(name: str, n: int, problems: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return a report around problems."""
    settings = {"task": "t", "split": "test", "engine": "hf", "sampling": {"temperature": 1.0, "seed": 0}}
    return {"name": name, "model": name, "n": n, "config_hash": name, "problems": problems, **settings, **changes}
