"""Evaluation and run directories as `rlkit eval` and `rlkit train` write them, made up from a seed without a model."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.estimators.intervals import mean_interval, pass_at_k_intervals


@dataclass(frozen=True)
class Policy:
    """How a made-up model answers: how often it is right, and on how few solutions it concentrates."""

    name: str
    accuracy: float
    concentration: float
    """0 spreads evenly over a problem's solutions, larger values favour the first ones."""
    entropy: float = 0.45


BASE = Policy("base", 0.35, 0.2, 0.45)
GRPO = Policy("grpo", 0.52, 2.2, 0.18)
DARLING = Policy("darling", 0.51, 0.7, 0.33)
WEIGHTED = Policy("w_reinforce", 0.49, 0.4, 0.38)


def write_evaluation(
    directory: Path, policy: Policy, num_problems: int = 12, n: int = 16, seed: int = 0, **changes: Any
) -> Path:
    """Write config.json, samples.jsonl and report.json of a made-up evaluation; `changes` go into the report."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, *policy.name.encode()])
    problems, samples = [], []
    for i in range(num_problems):
        problem, rows = _answer(i, policy, n, rng)
        problems.append(problem)
        samples += rows
    report = _report(policy, n, problems, samples) | changes
    config = {"model": f"models/{policy.name}", "n": n, "seed": seed, "sampling": report["sampling"], "hash": "0" * 12}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "report.json").write_text(json.dumps(report))
    with (directory / "samples.jsonl").open("w") as lines:
        lines.writelines(json.dumps(sample) + "\n" for sample in samples)
    return directory


def write_run(directory: Path, policy: Policy, num_steps: int = 40, **kwargs: Any) -> Path:
    """Write a run directory: train_log.jsonl, run.json, recipe.yaml and an evaluation in eval/."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([1, *policy.name.encode()])
    with (directory / "train_log.jsonl").open("w") as lines:
        for step in range(1, num_steps + 1):
            done = 1 - math.exp(-step / num_steps * 3)
            row = {
                "step": step,
                "loss": rng.normal(0, 0.01),
                "reward": 0.33 + (policy.accuracy - 0.33) * done + rng.normal(0, 0.02),
                "entropy": 0.45 + (policy.entropy - 0.45) * done + rng.normal(0, 0.01),
                "kl": 0.05 * done * policy.concentration + abs(rng.normal(0, 0.003)),
                "completions/mean_length": 12 + rng.normal(0, 0.1),
                "diversity/pass_at_g": 0.9 - 0.05 * done * policy.concentration + rng.normal(0, 0.02),
                "diversity/distinct_correct": 3 - done * policy.concentration * 0.6 + rng.normal(0, 0.1),
            }
            lines.write(json.dumps(row) + "\n")
    (directory / "run.json").write_text(json.dumps({"status": "finished", "step": num_steps}))
    (directory / "recipe.yaml").write_text(f"name: {policy.name}\nadvantage: {{name: {policy.name}}}\n")
    write_evaluation(directory / "eval", policy, **kwargs)
    return directory


def _answer(i: int, policy: Policy, n: int, rng: np.random.Generator) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    shape = np.random.default_rng([7, i])  # the problem itself: the same for every policy
    num_solutions, ease = int(shape.integers(1, 9)), shape.normal(0, 1.2)
    numbers, target = shape.integers(1, 14, 4).tolist(), int(shape.integers(10, 51))
    chance = 1 / (
        1 + math.exp(-(math.log(policy.accuracy / (1 - policy.accuracy)) + ease * (1 + policy.concentration)))
    )
    weights = np.exp(-policy.concentration * np.arange(num_solutions)) * shape.dirichlet(np.full(num_solutions, 2.0))
    problem_id, rows, found = f"countdown-test-{i:04d}", [], {}
    for sample in range(n):
        is_correct = bool(rng.random() < chance)
        which = int(rng.choice(num_solutions, p=weights / weights.sum()))
        a, b, c, d = numbers
        answer = f"({a}+{b})*{c}-{d}+{which}" if is_correct else None
        verdict = (
            "correct"
            if is_correct
            else str(rng.choice(["wrong_target", "malformed", "wrong_numbers"], p=[0.7, 0.1, 0.2]))
        )
        if answer:
            found[answer] = found.get(answer, 0) + 1
        text = f"{a} + {b} = {a + b} ; {a + b} * {c} = {(a + b) * c} ; {(a + b) * c} - {d} = {(a + b) * c - d + which}"
        rows.append(
            {
                "prompt_id": problem_id,
                "sample": sample,
                "completion": text,
                "num_tokens": 12,
                "finish_reason": "stop",
                "logp_sum": -4.0,
                "logp_mean": -0.33,
                "entropy_mean": float(max(0.01, policy.entropy + rng.normal(0, 0.08))),
                "correct": is_correct,
                "verdict": verdict,
                "answer": answer,
            }
        )
    problem = {
        "id": problem_id,
        "prompt": f"{' '.join(map(str, numbers))} -> {target}",
        "num_samples": n,
        "num_correct": sum(row["correct"] for row in rows),
        "num_distinct_correct": len(found),
        "num_solutions": num_solutions,
        "classes": found,
    }
    return problem, rows


def _report(policy: Policy, n: int, problems: list[dict[str, Any]], samples: list[dict[str, Any]]) -> dict[str, Any]:
    ks = list(range(1, n + 1))
    correct = [problem["num_correct"] for problem in problems]
    cells = [interval.as_cell() for interval in pass_at_k_intervals([n] * len(problems), correct, ks)]
    entropies = np.array([sample["entropy_mean"] for sample in samples]).reshape(len(problems), n).mean(axis=1)
    metrics = {
        "distinct_correct": [problem["num_distinct_correct"] for problem in problems],
        "solution_coverage": [problem["num_distinct_correct"] / problem["num_solutions"] for problem in problems],
        "token_entropy": entropies,
        "num_tokens": [12.0] * len(problems),
    }
    return {
        "name": policy.name,
        "model": f"models/{policy.name}",
        "task": "countdown",
        "split": "test",
        "engine": "hf",
        "n": n,
        "num_problems": len(problems),
        "sampling": {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 32},
        "config_hash": "3f9a1c0b7d22",
        "pass_at_k": {str(k): cell for k, cell in zip(ks, cells, strict=True)},
        "metrics": {name: mean_interval(values).as_cell() for name, values in metrics.items()},
        "problems": problems,
    }
