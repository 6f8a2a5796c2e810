"""From a directory of samples to its report: no model, and one pass over the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlkit.evaluation.directory import CONFIG, read_config
from rlkit.evaluation.diversity.measuring import finish_measuring, start_measuring
from rlkit.evaluation.metrics.cells import METRICS, distinct_at_k_cells, k_grid, label_cells, pass_at_k_cells
from rlkit.evaluation.metrics.curves import (
    bayes_pass_at_k_cells,
    best_of_k_cells,
    cover_at_tau_cells,
    cover_posterior_at_tau_cells,
    g_pass_at_k_cells,
    keep_votes,
    maj_at_k_cells,
    maj_at_k_votes,
    mg_pass_at_k_cells,
    pass_hat_k_cells,
)
from rlkit.evaluation.metrics.extrapolation import extrapolate
from rlkit.evaluation.metrics.problems import ProblemCounts, describe_problems, start_counts
from rlkit.evaluation.progress import MeasuringProgress
from rlkit.evaluation.samples.grouping import group_samples

if TYPE_CHECKING:
    from rlkit.evaluation.planning import EvaluationPlan


def build_report(plan: EvaluationPlan) -> dict[str, Any]:
    """Return the report of the samples that are in the output directory; needs no model."""
    config = plan.config
    grader = read_config(plan.output).get("grader") if (plan.output / CONFIG).is_file() else None
    by_id, measuring = start_counts(plan.rows), start_measuring(plan.rows)
    with MeasuringProgress(plan.name, len(by_id)) as progress:
        for prompt_id, records in group_samples(plan.output, by_id):
            by_id[prompt_id].add_all(records)
            measuring.add(prompt_id, records)
            progress.advance()
    counts = list(by_id.values())
    problems = describe_problems(counts)
    of_problems, diversity = finish_measuring(measuring)
    for problem, values in zip(problems, of_problems, strict=True):
        problem["diversity"] = values
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
        "grader": grader and {name: value for name, value in grader.items() if name != "pending"},
        **measure_problems(counts, problems, config.n),
        "diversity": diversity,
        "problems": problems,
    }


def measure_problems(counts: Sequence[ProblemCounts], problems: Sequence[dict[str, Any]], n: int) -> dict[str, Any]:
    """Return every family of cells of a report, from the counts of its problems and their entries.

    Args:
        counts: of each problem, with its scored samples.
        problems: what `describe_problems` says of them; the votes on each are put into it.
        n: samples a prompt; the k-grid is 1, 2, 4, ... and n.
    """
    ks = k_grid(n)
    votes = maj_at_k_votes(problems, ks)
    keep_votes(problems, votes, ks)
    return {
        "pass_at_k": pass_at_k_cells(problems, range(1, n + 1)),
        "bayes_pass_at_k": bayes_pass_at_k_cells(problems, ks),
        "extrapolation": extrapolate(problems, n),
        "pass_hat_k": pass_hat_k_cells(problems, ks),
        "g_pass_at_k": g_pass_at_k_cells(problems, ks),
        "mg_pass_at_k": mg_pass_at_k_cells(problems, ks),
        "cover_at_tau": cover_at_tau_cells(problems),
        "cover_posterior_at_tau": cover_posterior_at_tau_cells(problems),
        "maj_at_k": maj_at_k_cells(votes, ks),
        "best_of_k": best_of_k_cells([each.samples for each in counts], ks),
        "distinct_at_k": distinct_at_k_cells(problems, ks),
        "metrics": {name: metric.cell(problems) for name, metric in METRICS.items()},
        "labels": label_cells(problems),
    }
