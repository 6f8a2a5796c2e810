"""Evaluation and run directories as `rlkit eval` and `rlkit train` write them, made up from a seed without a model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.evaluation.configuration import EvaluationConfig
from rlkit.evaluation.metrics.measure import build_report
from rlkit.evaluation.planning import EvaluationPlan
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.files import write_json


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
    rows = [_problem(i) for i in range(num_problems)]
    with (directory / "samples.jsonl").open("w") as lines:
        for row in rows:
            lines.writelines(json.dumps(sample) + "\n" for sample in _answer(row, policy, n, rng))
    plan = EvaluationPlan(
        name=policy.name,
        model_path=f"models/{policy.name}",
        task=_Named("countdown"),
        rows=rows,
        engine=_Named("hf"),
        config=EvaluationConfig(
            model=f"models/{policy.name}",
            model_fingerprint=policy.name,
            task="countdown",
            split="test",
            limit=num_problems,
            prompts_digest="0" * 16,
            n=n,
            engine="hf",
            sampling=SamplingConfig(max_tokens=32, seed=seed),
        ),
        output=directory,
    )
    write_json(directory / "config.json", {"hash": plan.config.digest, "config": plan.config.as_json()})
    write_json(directory / "report.json", build_report(plan) | changes)
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
                "pass_at_g": 0.9 - 0.05 * done * policy.concentration + rng.normal(0, 0.02),
                "distinct_correct": 3 - done * policy.concentration * 0.6 + rng.normal(0, 0.1),
            }
            lines.write(json.dumps(row) + "\n")
    record = {"status": "finished", "step": num_steps, "command": ["rlkit", "train", f"countdown/{policy.name}"]}
    (directory / "run.json").write_text(json.dumps(record))
    (directory / "recipe.yaml").write_text(f"name: {policy.name}\nadvantage: {{name: {policy.name}}}\n")
    write_evaluation(directory / "eval", policy, **kwargs)
    return directory


class _Named:
    """A task or an engine of which only the name matters here."""

    def __init__(self, name: str) -> None:
        self.name = name


def _problem(i: int) -> dict[str, Any]:
    """Return a row: the same for every policy."""
    rng = np.random.default_rng([7, i])
    numbers, target = rng.integers(1, 14, 4).tolist(), int(rng.integers(10, 51))
    num_solutions = int(rng.integers(1, 9))
    return {
        "id": f"countdown-test-{i:04d}",
        "prompt": f"{' '.join(map(str, numbers))} -> {target}",
        "numbers": numbers,
        "num_solutions": num_solutions,
        "ease": float(rng.normal(0, 1.2)),
        "prior": rng.dirichlet(np.full(num_solutions, 2.0)),
    }


def _answer(row: dict[str, Any], policy: Policy, n: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield n graded samples of one problem."""
    odds = math.log(policy.accuracy / (1 - policy.accuracy)) + row["ease"] * (1 + policy.concentration)
    weights = row["prior"] * np.exp(-policy.concentration * np.arange(row["num_solutions"]))
    a, b, c, d = row["numbers"]
    for sample in range(n):
        is_correct = bool(rng.random() < 1 / (1 + math.exp(-odds)))
        which = int(rng.choice(row["num_solutions"], p=weights / weights.sum()))
        failure = str(rng.choice(["wrong_target", "malformed", "wrong_numbers"], p=[0.7, 0.1, 0.2]))
        steps = f"{a} + {b} = {a + b} ; {a + b} * {c} = {(a + b) * c} ; {(a + b) * c} - {d} = {(a + b) * c - d + which}"
        yield {
            "prompt_id": row["id"],
            "sample": sample,
            "completion": steps,
            "num_tokens": 12,
            "finish_reason": "stop",
            "logp_sum": -4.0,
            "logp_mean": -0.33,
            "entropy_mean": float(max(0.01, policy.entropy + rng.normal(0, 0.3))),
            "correct": is_correct,
            "label": "correct" if is_correct else failure,
            "answer": f"({a}+{b})*{c}-{d}+{which}" if is_correct else None,
        }
