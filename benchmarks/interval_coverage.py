"""How often intervals hold what other problems of the kind would give, by simulation.

    python benchmarks/interval_coverage.py                    # the table of docs/metrics.md, some minutes
    python benchmarks/interval_coverage.py --repeats 100 --problems 30 100

A population is a distribution of success rates; its true value of a measure is that of 400,000 problems. An
evaluation draws problems from it and 32 samples of each. A paired comparison draws both models on the same problems;
the run's log odds are the base's plus a shift and a spread of 0.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb, expit, logit

from rlkit.estimators import bootstrap_means, mean_intervals, pass_at_k, widen, widening_factors

FloatArray = NDArray[np.float64]
Rates = Callable[[np.random.Generator, int], FloatArray]

NUM_SAMPLES = 32
BUDGETS = (1, 2, 4, 8, 16)
MEASURES = ("pass@1", "pass@4", "pass@16", "maj@4", "simpson")
WRONG_SHARES = (0.5, 0.3, 0.2)
"""How wrong samples fall on three wrong answers."""

FALLS = [drawn for drawn in product(range(5), repeat=4) if sum(drawn) == 4]
"""All ways in which four samples fall on four answers."""

POPULATIONS: Mapping[str, Rates] = {
    "typical": lambda rng, size: rng.beta(0.5, 1.0, size),
    "60 % always right": lambda rng, size: np.where(rng.random(size) < 0.6, 1.0, rng.beta(0.8, 0.8, size)),
    "60 % never right": lambda rng, size: np.where(rng.random(size) < 0.6, 0.0, rng.beta(0.5, 1.5, size)),
    "90 % always right": lambda rng, size: np.where(rng.random(size) < 0.9, 1.0, rng.beta(0.8, 0.8, size)),
}


def measure(rng: np.random.Generator, rates_M: FloatArray) -> FloatArray:
    """Return the measures of problems with these rates, one draw of samples each, shape (M, 5)."""
    shares_M4 = np.stack([rates_M, *[(1.0 - rates_M) * share for share in WRONG_SHARES]], axis=-1)
    counts_M4 = rng.multinomial(NUM_SAMPLES, shares_M4)
    passed_M3 = np.asarray(pass_at_k(NUM_SAMPLES, counts_M4[:, :1], [1, 4, 16]))
    pairs_M = (counts_M4 * (counts_M4 - 1)).sum(axis=-1) / (NUM_SAMPLES * (NUM_SAMPLES - 1))
    return np.column_stack([passed_M3, vote_of_four(counts_M4), 1.0 - pairs_M])


def vote_of_four(counts_M4: NDArray[np.int64]) -> FloatArray:
    """Return maj@4 with the first answer correct, by all ways in which four samples fall on four answers."""
    ways = np.array([[comb(count, drawn) for drawn in range(5)] for count in range(NUM_SAMPLES + 1)])
    credit_M = np.zeros(len(counts_M4))
    for drawn in FALLS:
        winners = [answer for answer, votes in enumerate(drawn) if votes == max(drawn)]
        if 0 in winners:
            credit_M += np.prod([ways[counts_M4[:, a], votes] for a, votes in enumerate(drawn)], axis=0) / len(winners)
    return credit_M / comb(NUM_SAMPLES, 4)


def differ(rng: np.random.Generator, rates_M: FloatArray, shift: float) -> FloatArray:
    """Return pass@k of a run minus that of the base with these rates, shape (M, 5)."""
    with np.errstate(divide="ignore"):
        run_M = expit(logit(rates_M) + shift + 0.5 * rng.normal(size=len(rates_M)))
    base, run = (rng.binomial(NUM_SAMPLES, rates)[:, None] for rates in (rates_M, run_M))
    return np.asarray(pass_at_k(NUM_SAMPLES, run, BUDGETS)) - np.asarray(pass_at_k(NUM_SAMPLES, base, BUDGETS))


def cover_means(name: str, num_problems: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Return how often the interval of each measure's mean holds the population's value."""
    rng, rates = np.random.default_rng(seed), POPULATIONS[name]
    truth_K = np.mean([measure(rng, rates(rng, 50_000)).mean(axis=0) for _ in range(8)], axis=0)
    held = np.zeros(len(MEASURES))
    for _ in range(repeats):
        found = mean_intervals(measure(rng, rates(rng, num_problems)), bounds=(0.0, 1.0))
        held += [cell.low - 1e-12 <= truth <= cell.high + 1e-12 for cell, truth in zip(found, truth_K, strict=True)]
    return dict(zip(MEASURES, (held / repeats).tolist(), strict=True))


def cover_differences(name: str, num_problems: int, repeats: int, shift: float, seed: int = 0) -> dict[str, float]:
    """Return how often intervals of paired differences hold: the worst budget alone, and all budgets at once."""
    rng, rates = np.random.default_rng(seed), POPULATIONS[name]
    truth_K = np.mean([differ(rng, rates(rng, 50_000), shift).mean(axis=0) for _ in range(8)], axis=0)
    alone, together = np.zeros(len(BUDGETS)), 0.0
    for repeat in range(repeats):
        differences_MK = differ(rng, rates(rng, num_problems), shift)
        found = mean_intervals(differences_MK, bounds=(-1.0, 1.0))
        factors_K = widening_factors(bootstrap_means(differences_MK, 1000, seed + repeat))
        band = [widen(cell, float(factor)) for cell, factor in zip(found, factors_K, strict=True)]
        alone += [cell.low <= truth <= cell.high for cell, truth in zip(found, truth_K, strict=True)]
        together += all(cell.low <= truth <= cell.high for cell, truth in zip(band, truth_K, strict=True))
    return {"worst budget": float(alone.min()) / repeats, "all budgets": together / repeats}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the coverage of 95 % intervals in per cent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--problems", type=int, nargs="+", default=[30, 50, 100, 200, 500])
    args = parser.parse_args(arguments)
    columns = (*MEASURES, *(f"{what}, {shift:+g}" for shift in (0.0, 0.5) for what in ("one k", "all k")))
    print("| population | problems | " + " | ".join(columns) + " |\n|---|---|" + "---|" * len(columns))
    for name, num_problems in product(POPULATIONS, args.problems):
        held = [*cover_means(name, num_problems, args.repeats).values()]
        for shift in (0.0, 0.5):
            held += cover_differences(name, num_problems, args.repeats, shift).values()
        print(f"| {name} | {num_problems} | " + " | ".join(f"{100 * share:.0f}" for share in held) + " |", flush=True)


if __name__ == "__main__":
    main()
