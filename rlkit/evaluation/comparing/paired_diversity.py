"""Diversity of two evaluations: which of its measures can be compared, and where a loss of it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlkit.estimators import DiversityLoss, split_diversity_loss
from rlkit.evaluation.comparing.paired_columns import DIVERSITY_PARTS, Columns
from rlkit.evaluation.comparing.pairing import Pairing, has_same_classes
from rlkit.evaluation.metrics.cells import Problem

_REDUNDANCY = ("compression_", "self_bleu_")
"""Starts of measures that are higher where outputs are more alike."""

_PARTS_OF_A_LOSS = ("total", "quality_control", "residual", "rho")


def comparable_diversity(pairing: Pairing) -> tuple[list[str], list[str]]:
    """Return the measures of diversity that both evaluations have of all and of correct outputs, and notes on the rest.

    Every measure is of a stated number of outputs, whatever n is. What was measured with other settings (tokenizer,
    embedding) is not compared.
    """
    base, run = ((report.get("diversity") or {}) for report in (pairing.report_base, pairing.report_run))
    names_base, names_run = _measured(pairing.base), _measured(pairing.run)
    common = [name for name in names_base if name in names_run]
    if not common:
        return [], []
    if not has_same_classes(pairing):
        return [], [
            "Other partitions tell the solutions apart; diversity is not compared (see rlkit grade --partition)."
        ]
    differing = _differing(base.get("settings") or {}, run.get("settings") or {})
    if differing:
        return [], [f"Diversity was measured with another {', '.join(differing)}; it is not compared."]
    return common, []


def _differing(base: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """Return the settings that differ; how many prompts there were is none, as problems are compared one by one."""
    names = sorted((base.keys() | run.keys()) - {"num_prompts_across"})
    return [name for name in names if base.get(name) != run.get(name)]


def _measured(problems: Sequence[Problem]) -> dict[str, None]:
    """Return the measures that some problem has in both parts, in order."""
    found: dict[str, None] = {}
    for problem in problems:
        diversity = problem.get("diversity") or {}
        of_all, of_correct = (diversity.get(part) or {} for part in DIVERSITY_PARTS)
        found.update(dict.fromkeys(name for name in of_all if name in of_correct))
    return found


def losable_measures(names: Sequence[str]) -> list[str]:
    """Return the measures that are higher where outputs are more varied, so that less of one is a loss."""
    return [name for name in names if name != "parsed" and not name.startswith(_REDUNDANCY)]


def split_losses(
    base: Columns, run: Columns, names: Sequence[str], level: float, seed: int
) -> dict[str, DiversityLoss]:
    """Return the loss of diversity by each measure, split into quality control and residual."""
    return {
        name: split_diversity_loss(
            base[f"all/{name}"],
            base[f"correct/{name}"],
            run[f"all/{name}"],
            run[f"correct/{name}"],
            level=level,
            seed=seed,
        )
        for name in names
    }


def losses_as_json(losses: Mapping[str, DiversityLoss]) -> dict[str, Any]:
    """Return each split as cells, with the number of problems it is over."""
    return {
        name: {part: getattr(loss, part).as_cell() for part in _PARTS_OF_A_LOSS} | {"num_problems": loss.num_problems}
        for name, loss in losses.items()
    }
