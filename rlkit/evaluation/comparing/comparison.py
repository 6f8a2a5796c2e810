"""Two evaluations of the same problems, problem by problem: what changed, with intervals and p-values, and a verdict.

Pairing removes what problems have in common, the larger part of the spread between them. Quantities that grow with the
number of samples are compared at the same number on both sides. What can be asked of several budgets or by several
questions at once has intervals and p-values that allow for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.errors import ConfigError
from rlkit.estimators import estimate_crossing
from rlkit.evaluation.comparing.paired_columns import (
    DIVERSITY_PARTS,
    PairedStatistics,
    compare_columns,
    paired_columns,
    vote_budgets,
)
from rlkit.evaluation.comparing.paired_diversity import (
    comparable_diversity,
    losable_measures,
    losses_as_json,
    narrowed_measures,
    split_losses,
)
from rlkit.evaluation.comparing.paired_support import compare_sharpness, compare_support
from rlkit.evaluation.comparing.pairing import Pairing, differing_settings, pair_reports, unpaired_note
from rlkit.evaluation.comparing.verdict import adjust_questions, judge, plan_needed, reach_budget
from rlkit.evaluation.comparing.verdict_rules import INCONCLUSIVE, SMALLEST_CHANGE, Evidence
from rlkit.evaluation.directory import EvaluationReport, read_report
from rlkit.evaluation.metrics.cells import k_grid

__all__ = ["EvaluationReport", "compare_runs", "compare_several", "read_report"]

_RETAINED = ("distinct_correct", "solution_coverage", "answer_entropy", "token_entropy")
"""Measures of diversity in every report; `retained` has the share of the base's that the run has."""


def compare_runs(
    report_a: EvaluationReport,
    report_b: EvaluationReport,
    *,
    ks: Sequence[int] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the differences b - a of two evaluations, paired by problem id, and what they show.

    Args:
        report_a, report_b: contents of two report.json, the base first.
        ks: budgets to compare pass@k at; powers of two up to the smaller n, and that n, by default. The verdict does
            not depend on them.
        level: of the intervals.
        seed: of the resamples. All quantities share them.

    Returns:
        `{"a", "b", "num_paired", "num_only_a", "num_only_b", "level", "notes", "system_level", "pass_at_k",
        "pass_hat_k", "maj_at_k", "metrics", "diversity", "crossing", "support", "sharpening_index", "decomposition",
        "retained", "verdict"}`; undefined numbers are None.

        A cell is `{"a", "b", "difference", "low", "high", "p_value", "num_defined", "num_total"}`: both means and their
        difference over the problems where both are defined, its bootstrap interval (Student's t below 50 problems), and
        the p-value of a sign-flip test for this quantity alone. Cells of `pass_at_k` also have `low_simultaneous`,
        `high_simultaneous` and `p_adjusted`, which hold for all its budgets at once. `distinct_correct` and
        `solution_coverage` are rarefied to the smaller n. `system_level` says that more than the model differs.

    Raises:
        ConfigError: the two share no problem, or a problem has another prompt, or a k is below 1.
    """
    pairing = pair_reports(report_a, report_b)
    ks = list(ks) if ks is not None else k_grid(pairing.n)
    if not ks or min(ks) < 1:
        raise ConfigError(f"pass@k is compared at budgets of at least 1, but {list(ks)} was given.")
    measures, diversity_notes = comparable_diversity(pairing)
    budgets = sorted({*ks, *k_grid(pairing.n), reach_budget(pairing.n)})
    votes = vote_budgets(pairing)
    base, run = paired_columns(pairing, budgets, votes, measures)
    found = compare_columns(base, run, [f"pass@{k}" for k in ks], level, seed)
    losses = split_losses(base, run, losable_measures(measures), level, seed)
    comparison = {
        **_heading(pairing, level, diversity_notes),
        **_sections(found, ks, votes, measures),
        "crossing": _crossing(found, k_grid(pairing.n), level),
        "support": compare_support(pairing, seed),
        "sharpening_index": compare_sharpness(pairing),
        "decomposition": losses_as_json(losses),
    }
    evidence = _gather(comparison, found, pairing.n, narrowed_measures(base, run, losses, level, seed))
    verdict = judge(evidence)
    if verdict["word"] == INCONCLUSIVE:
        verdict["needed"] = plan_needed(pairing, found, evidence)
    return comparison | {"verdict": verdict}


def compare_several(
    base: EvaluationReport, runs: Sequence[EvaluationReport], *, level: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Compare each of several runs with one base.

    Each comparison has its own level: of twenty runs that equal their base, one may show a difference.

    Returns:
        `{"base": {"name", "model", "n", "config_hash"}, "comparisons": [what `compare_runs` gives, ...]}`.

    Raises:
        ConfigError: as `compare_runs`.
    """
    return {"base": _identify(base), "comparisons": [compare_runs(base, run, level=level, seed=seed) for run in runs]}


def _heading(pairing: Pairing, level: float, diversity_notes: list[str]) -> dict[str, Any]:
    settings, num_paired = differing_settings(pairing), len(pairing.base)
    return {
        "a": _identify(pairing.report_base),
        "b": _identify(pairing.report_run),
        "num_paired": num_paired,
        "num_only_a": len(pairing.report_base["problems"]) - num_paired,
        "num_only_b": len(pairing.report_run["problems"]) - num_paired,
        "level": level,
        "notes": [*settings, *unpaired_note(pairing), *diversity_notes],
        "system_level": bool(settings),
    }


def _sections(
    found: PairedStatistics, ks: Sequence[int], votes: Sequence[int], measures: Sequence[str]
) -> dict[str, Any]:
    varieties = [f"{part}/{name}" for part in DIVERSITY_PARTS for name in measures]
    metrics = [
        name for name in found.names if not name.startswith(("pass@", "pass^", "maj@")) and name not in varieties
    ]
    retained = [f"{part}/{name}" for part in DIVERSITY_PARTS for name in losable_measures(measures)]
    return {
        "pass_at_k": {str(k): found.family_cell(f"pass@{k}") for k in ks},
        "maj_at_k": {str(k): found.cell(f"maj@{k}") for k in votes},
        "pass_hat_k": {str(k): found.cell(f"pass^{k}") for k in ks},
        "metrics": {name: found.cell(name) for name in metrics},
        "diversity": {part: {name: found.cell(f"{part}/{name}") for name in measures} for part in DIVERSITY_PARTS},
        "retained": {name: found.retained_cell(name) for name in (*_RETAINED, *retained) if name in found.names},
    }


def _crossing(found: PairedStatistics, grid: Sequence[int], level: float) -> dict[str, Any]:
    at = found.index([f"pass@{k}" for k in grid])
    means = [found.intervals[i].value for i in at]
    errors = np.maximum(found.errors_K[at], SMALLEST_CHANGE)
    return estimate_crossing(grid, means, found.resamples_RK[:, at], errors, level).as_json()


def _gather(comparison: dict[str, Any], found: PairedStatistics, n: int, narrowed: dict[str, Any]) -> Evidence:
    reach_k = reach_budget(n)
    accuracy, reach = found.cell("pass@1"), found.cell(f"pass@{reach_k}") if reach_k > 1 else None
    support = comparison["support"]
    p_values = {
        "accuracy": accuracy["p_value"],
        "reach": reach["p_value"] if reach else math.nan,
        "support": support["mcnemar_p"] if support["num_defined"] else math.nan,
    }
    return Evidence(
        level=found.level,
        n=n,
        reach_k=reach_k,
        accuracy=accuracy,
        reach=reach,
        entropy=comparison["metrics"].get("answer_entropy"),
        support=support,
        crossing=comparison["crossing"],
        narrowed=narrowed,
        adjusted=adjust_questions(p_values),
    )


def _identify(report: EvaluationReport) -> dict[str, Any]:
    return {key: report[key] for key in ("name", "model", "n", "config_hash")}
