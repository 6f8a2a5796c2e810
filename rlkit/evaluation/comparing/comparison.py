"""Evaluations of the same problems, problem by problem: what changed, with intervals and p-values, and a verdict.

Pairing removes what problems have in common, the larger part of the spread between them. Quantities that grow with the
number of samples are compared at the same number on both sides. What can be asked of several budgets, by several
questions or of several runs at once has intervals and p-values that allow for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlkit.errors import ConfigError
from rlkit.estimators import estimate_crossing
from rlkit.evaluation.commands import lower_temperatures_command
from rlkit.evaluation.comparing.front import compare_with_front
from rlkit.evaluation.comparing.margins import MARGINS
from rlkit.evaluation.comparing.models import Model
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
    split_losses,
)
from rlkit.evaluation.comparing.paired_outputs import compare_outputs
from rlkit.evaluation.comparing.paired_support import compare_sharpness, compare_support
from rlkit.evaluation.comparing.pairing import Pairing, differing_settings, pair_reports, unpaired_note
from rlkit.evaluation.comparing.questions import ask_questions, choose_measure
from rlkit.evaluation.comparing.verdict import Asked, judge_all, solved_budget
from rlkit.evaluation.directory import EvaluationReport, read_report
from rlkit.evaluation.metrics.cells import k_grid

__all__ = ["Choices", "EvaluationReport", "compare_runs", "compare_several", "read_report"]

_RETAINED = ("distinct_correct", "solution_coverage", "answer_entropy", "token_entropy")
"""Measures of diversity in every report; `retained` has the share of the base's that the run has."""

_SMALLEST_CHANGE = 0.001
"""A budget counts for the side that is ahead by at least this: where both solve every problem, pass@k may differ by
millionths."""


@dataclass(frozen=True)
class Choices:
    """What of a verdict a user can choose."""

    margins: Mapping[str, float] = field(default_factory=lambda: dict(MARGINS))
    """Changes that matter, as `read_margins` gives them."""
    k: int | None = None
    """The k of pass@k that decides; half of the samples by default."""
    diversity: str | None = None
    """The measure of diversity that decides; None for the best that both evaluations have."""


def compare_runs(
    report_a: EvaluationReport,
    report_b: EvaluationReport,
    *,
    ks: Sequence[int] | None = None,
    level: float = 0.95,
    seed: int = 0,
    choices: Choices | None = None,
) -> dict[str, Any]:
    """Return the differences b - a of two evaluations, paired by problem id, and what they show.

    Args:
        report_a, report_b: contents of two report.json, the base first.
        ks: budgets to compare pass@k at; powers of two up to the smaller n, and that n, by default. The verdict does
            not depend on them.
        level: of the intervals.
        seed: of the resamples. All quantities share them.
        choices: of the verdict.

    Returns:
        `{"a", "b", "num_paired", "num_only_a", "num_only_b", "level", "notes", "system_level", "pass_at_k",
        "pass_hat_k", "maj_at_k", "metrics", "diversity", "outputs", "crossing", "support", "sharpening_index",
        "decomposition", "retained", "verdict"}`; undefined numbers are None.

        A cell is `{"a", "b", "difference", "low", "high", "p_value", "num_defined", "num_total"}`: both means and their
        difference over the problems where both are defined, its bootstrap interval (Student's t below 50 problems), and
        the p-value of a sign-flip test for this quantity alone. Cells of `pass_at_k` also have `low_simultaneous`,
        `high_simultaneous` and `p_adjusted`, which hold for all its budgets at once. `distinct_correct` and
        `solution_coverage` are rarefied to the smaller n. `outputs` has the shares of formats and their drift, and
        diversity across prompts. `system_level` says that more than the model differs.

    Raises:
        ConfigError: the two share no problem, or a problem has another prompt, or a k is below 1 or beyond n.
    """
    several = compare_several(report_a, [report_b], ks=ks, level=level, seed=seed, choices=choices)
    comparison: dict[str, Any] = several["comparisons"][0]
    return comparison


def compare_several(
    base: EvaluationReport | Model,
    runs: Sequence[EvaluationReport | Model],
    *,
    ks: Sequence[int] | None = None,
    level: float = 0.95,
    seed: int = 0,
    choices: Choices | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Compare each of several runs with one base; a model of several temperatures is a front, compared as one.

    Each is compared at the temperature of the base's main evaluation (1, or its highest) where it has it. The verdicts
    are corrected for the number of runs: of twenty that equal their base, in one case of twenty any gets another word.
    `progress` is called with how many runs were compared.

    Returns:
        `{"base": {"name", "model", "n", "config_hash"}, "comparisons": [what `compare_runs` gives, ...]}`.

    Raises:
        ConfigError: as `compare_runs`.
    """
    first, *others = (each if isinstance(each, Model) else Model((each,)) for each in (base, *runs))
    compared = []
    for run in others:
        compared.append(_compare(first, run, ks, level, seed, choices or Choices()))
        progress(len(compared))
    verdicts = judge_all([asked for _, asked in compared])
    comparisons = [found | {"verdict": verdict} for (found, _), verdict in zip(compared, verdicts, strict=True)]
    return {"base": _identify(first.main(), first.name), "comparisons": comparisons}


def _compare(
    base_model: Model, run_model: Model, ks: Sequence[int] | None, level: float, seed: int, choices: Choices
) -> tuple[dict[str, Any], Asked]:
    main, temperature = base_model.main(), base_model.main_temperature
    pairing = pair_reports(main, run_model.main(temperature))
    ks = list(ks) if ks is not None else k_grid(pairing.n)
    if not ks or min(ks) < 1:
        raise ConfigError(f"pass@k is compared at budgets of at least 1, but {list(ks)} was given.")
    k = choices.k if choices.k is not None else solved_budget(pairing.n)
    if not 1 <= k <= pairing.n:
        raise ConfigError(f"--k was given as {k}, but there are {pairing.n} samples a problem; write 1 to {pairing.n}.")
    measures, diversity_notes = comparable_diversity(pairing)
    budgets, votes = sorted({*ks, *k_grid(pairing.n), k}), vote_budgets(pairing)
    base, run = paired_columns(pairing, budgets, votes, measures)
    found = compare_columns(base, run, [f"pass@{k}" for k in ks], level, seed)
    measure = choose_measure(base, run, choices.diversity)
    points = compare_with_front(base_model, run_model, k, measure, choices.margins, level, seed)
    asked = Asked(
        pairing,
        k,
        ask_questions(found, k, measure, choices.margins),
        sorted(points, key=lambda point: point.temperature != temperature),
        choices.margins["collapse"],
        level,
        lower_temperatures_command(main, base_model.configs[0] if base_model.configs else {}, base_model.directory),
    )
    comparison = {
        **_heading(pairing, (base_model.name, run_model.name), level, diversity_notes),
        **_sections(found, ks, votes, measures),
        "outputs": compare_outputs(pairing),
        "crossing": _crossing(found, k_grid(pairing.n), level),
        "support": compare_support(pairing, seed),
        "sharpening_index": compare_sharpness(pairing),
        "decomposition": losses_as_json(split_losses(base, run, losable_measures(measures), level, seed)),
    }
    return comparison, asked


def _heading(pairing: Pairing, names: tuple[str, str], level: float, diversity_notes: list[str]) -> dict[str, Any]:
    settings, num_paired = differing_settings(pairing), len(pairing.base)
    return {
        "a": _identify(pairing.report_base, names[0]),
        "b": _identify(pairing.report_run, names[1]),
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
        "retained": {name: found.retained(name).as_cell() for name in (*_RETAINED, *retained) if name in found.names},
    }


def _crossing(found: PairedStatistics, grid: Sequence[int], level: float) -> dict[str, Any]:
    at = found.index([f"pass@{k}" for k in grid])
    means = [found.intervals[i].value for i in at]
    errors = np.maximum(found.errors_K[at], _SMALLEST_CHANGE)
    return estimate_crossing(grid, means, found.resamples_RK[:, at], errors, level).as_json()


def _identify(report: EvaluationReport, name: str) -> dict[str, Any]:
    return {"name": name} | {key: report[key] for key in ("model", "n", "config_hash")}
