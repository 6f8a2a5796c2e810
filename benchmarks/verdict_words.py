"""How often each word of the verdict comes, on simulated models of which the truth is known.

  python benchmarks/verdict_words.py --repetitions 100

Prints the table of docs/comparing.md. Problems differ in difficulty and in how many solutions they have; a model is a
success rate and a distribution over solutions for every problem; n samples a problem are drawn from either.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.evaluation import compare_runs
from rlkit.evaluation.comparing.verdict_rules import WORDS

FloatArray = NDArray[np.float64]

SOLUTIONS = 8
"""Most solutions of a problem."""


@dataclass(frozen=True)
class Truth:
    """A model: how often it is right on each problem, and which of the problem's solutions it then gives."""

    rates_M: FloatArray
    shares_MS: FloatArray
    """Rows add up to 1; 0 where a problem has no such solution."""


def draw_problems(num_problems: int, rng: np.random.Generator) -> Truth:
    """Return a base model: a third of all samples right, rates from hopeless to easy, one to eight solutions."""
    rates_M = rng.beta(0.5, 1.0, num_problems)
    num_solutions_M = rng.integers(1, SOLUTIONS + 1, num_problems)
    shares_MS = rng.gamma(1.0, size=(num_problems, SOLUTIONS))
    shares_MS *= np.arange(SOLUTIONS) < num_solutions_M[:, None]
    return Truth(rates_M, shares_MS / shares_MS.sum(axis=1, keepdims=True))


def change(
    truth: Truth, gain: float, power: float, lost: float, rng: np.random.Generator, hardest: float = 0.6
) -> Truth:
    """Return a trained model.

    Args:
        gain: share of its distance to 1 by which every success rate rises.
        power: of the solutions' shares; above 1 the likely ones take over.
        lost: share of problems that it can no longer solve.
        hardest: share of problems, the hardest for the base, of which those are.
    """
    rates_M = truth.rates_M + gain * (1.0 - truth.rates_M) * np.sqrt(truth.rates_M)
    hard = np.argsort(truth.rates_M)[: int(hardest * len(rates_M))]
    rates_M[rng.choice(hard, round(lost * len(rates_M)), replace=False)] = 0.0
    shares_MS = truth.shares_MS**power * (truth.shares_MS > 0)
    return Truth(rates_M, shares_MS / shares_MS.sum(axis=1, keepdims=True))


SCENARIOS: Mapping[str, Callable[[Truth, np.random.Generator], Truth]] = {
    "identical": lambda truth, rng: truth,
    "better at every k, 5 % less coverage": lambda truth, rng: change(truth, 0.22, 1.8, 0.0, rng),
    "mild narrowing": lambda truth, rng: change(truth, 0.25, 2.0, 0.09, rng),
    "collapse": lambda truth, rng: change(truth, 0.7, 5.0, 0.32, rng, hardest=0.8),
}
"""Trained models by what was done to them; `describe` measures what that means."""


def draw_report(name: str, truth: Truth, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return a report.json of n samples a problem."""
    correct_M = rng.binomial(n, truth.rates_M)
    problems = []
    for at, (num_correct, shares_S) in enumerate(zip(correct_M.tolist(), truth.shares_MS, strict=True)):
        counts = rng.multinomial(num_correct, shares_S)
        classes = {str(which): int(count) for which, count in enumerate(counts) if count}
        problems.append(
            {
                "id": f"p{at}",
                "prompt": f"p{at}",
                "num_samples": n,
                "num_correct": num_correct,
                "num_distinct_correct": len(classes),
                "num_solutions": int((shares_S > 0).sum()),
                "num_unscored": 0,
                "num_truncated": 0,
                "classes": classes,
                "labels": {},
                "verdicts": {},
                "answer_entropy": None,
                "token_entropy": None,
                "surprisal": None,
                "num_tokens": None,
            }
        )
    settings = {"task": "simulated", "split": "test", "engine": "none", "sampling": {"temperature": 1.0}}
    return {"name": name, "model": name, "n": n, "config_hash": name, "problems": problems, **settings}


def count_words(scenario: str, num_problems: int, n: int, repetitions: int, seed: int = 0) -> Counter[str]:
    """Return how often each word came."""
    words: Counter[str] = Counter()
    for at in range(repetitions):
        rng = np.random.default_rng([seed, at])
        base = draw_problems(num_problems, rng)
        run = SCENARIOS[scenario](base, rng)
        reports = [draw_report(name, truth, n, rng) for name, truth in (("base", base), ("run", run))]
        words[compare_runs(*reports, ks=[1])["verdict"]["word"]] += 1
    return words


def describe(scenario: str, n: int = 64, num_problems: int = 20_000) -> dict[str, float]:
    """Return what a scenario truly changes, on many problems: pass@1, pass@(n/2), and the share of coverage kept."""
    rng = np.random.default_rng(1)
    base = draw_problems(num_problems, rng)
    run = SCENARIOS[scenario](base, rng)

    def measure(truth: Truth) -> tuple[float, float, float]:
        solved = 1.0 - (1.0 - truth.rates_M) ** (n // 2)
        found_MS = 1.0 - (1.0 - truth.rates_M[:, None] * truth.shares_MS) ** n
        coverage = found_MS.sum(axis=1) / (truth.shares_MS > 0).sum(axis=1)
        return float(truth.rates_M.mean()), float(solved.mean()), float(coverage.mean())

    a, b = measure(base), measure(run)
    return {"pass@1": b[0] - a[0], f"pass@{n // 2}": b[1] - a[1], "coverage kept": b[2] / a[2]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--problems", type=int, nargs="+", default=[30, 500])
    parser.add_argument("--n", type=int, nargs="+", default=[16, 64])
    args = parser.parse_args()
    print("| models | problems x n | " + " | ".join(WORDS) + " |")
    print("|---" * (2 + len(WORDS)) + "|")
    for scenario in SCENARIOS:
        for num_problems in args.problems:
            for n in args.n:
                words = count_words(scenario, num_problems, n, args.repetitions)
                shares = (f"{100 * words[word] / args.repetitions:.0f}" if words[word] else "" for word in WORDS)
                print(f"| {scenario} | {num_problems} x {n} | " + " | ".join(shares) + " |", flush=True)
    for scenario in SCENARIOS:
        truth = ", ".join(f"{name} {value:+.3f}" for name, value in describe(scenario).items())
        print(f"{scenario}: {truth}")


if __name__ == "__main__":
    main()
