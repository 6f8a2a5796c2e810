"""From a directory of samples to its report: no model, one pass over the samples, everything else from counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlkit.evaluation.metrics import METRICS, distinct_at_k_cells, k_grid, pass_at_k_cells, verdict_cells
from rlkit.evaluation.problems import count_problems
from rlkit.evaluation.store import read_samples

if TYPE_CHECKING:
    from rlkit.evaluation.evaluate import EvaluationPlan


def build_report(plan: EvaluationPlan) -> dict[str, Any]:
    """Return the report of the samples that are in the output directory; needs no model."""
    config = plan.config
    problems = [counts.as_json() for counts in count_problems(plan.rows, read_samples(plan.output))]
    return {
        "name": plan.name,
        "model": config.model,
        "task": plan.task.name,
        "split": config.split,
        "engine": config.engine if isinstance(config.engine, str) else config.engine["name"],
        "n": config.n,
        "num_problems": len(problems),
        "sampling": config.sampling.as_json(),
        "config_hash": config.digest,
        "pass_at_k": pass_at_k_cells(problems, range(1, config.n + 1)),
        "distinct_at_k": distinct_at_k_cells(problems, k_grid(config.n)),
        "metrics": {name: metric.cell(problems) for name, metric in METRICS.items()},
        "verdicts": verdict_cells(problems),
        "problems": problems,
    }
