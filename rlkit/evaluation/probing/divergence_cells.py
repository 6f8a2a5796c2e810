"""Token divergences of the samples of each prompt to the KL sections of probe.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rlkit.estimators import kl, mean_interval, token_mean
from rlkit.evaluation.metrics.cells import CellJson
from rlkit.evaluation.probing.token_cells import Scored

_NOT_NEGATIVE = (0.0, math.inf)


def divergence_section(groups_M: Sequence[Sequence[Scored]], direction: str) -> dict[str, Any]:
    """Return one direction of the divergence between two models, with cells over prompts.

    `per_token` is the exact divergence of the next-token distributions, averaged over the tokens of a prompt's samples;
    `per_sequence` its sum over a sample, averaged over samples: an estimate, from sampled prefixes, of the divergence
    of whole completions. `k1` and `k3` estimate `per_token` from the drawn tokens alone, as training logs do; they
    agree with it in the mean only for samples at temperature 1 without truncation. `accuracy` is that of the same
    samples, the other axis of a reward-KL plot.

    Args:
        groups_M: the samples of each prompt, drawn by the first model of `direction`.
        direction: in words, kept beside the numbers.
    """
    ratios = [np.abs(values["logps"] - values["other_logps"]) for group in groups_M for _, values in group]
    return {
        "direction": direction,
        "per_token": _cell(groups_M, _per_token, _NOT_NEGATIVE),
        "per_sequence": _cell(groups_M, _per_sequence, _NOT_NEGATIVE),
        "k1": _cell(groups_M, lambda group: _estimate(group, "k1")),
        "k3": _cell(groups_M, lambda group: _estimate(group, "k3"), _NOT_NEGATIVE),
        "largest_log_ratio": float(max(map(np.max, ratios))) if ratios else None,
        "accuracy": _cell(groups_M, _accuracy, (0.0, 1.0)),
        "num_samples": sum(map(len, groups_M)),
    }


def _per_token(group: Sequence[Scored]) -> float:
    return token_mean([values["kl"] for _, values in group])


def _per_sequence(group: Sequence[Scored]) -> float:
    return token_mean([[float(values["kl"].sum(dtype=np.float64))] for _, values in group])


def _estimate(group: Sequence[Scored], estimator: str) -> float:
    pairs = [(values["logps"].astype(np.float64), values["other_logps"].astype(np.float64)) for _, values in group]
    return token_mean([kl(logps, other_logps, estimator) for logps, other_logps in pairs])


def _accuracy(group: Sequence[Scored]) -> float:
    return token_mean([[float(record["correct"])] for record, _ in group if record.get("correct") is not None])


def _cell(
    groups_M: Sequence[Sequence[Scored]],
    compute: Callable[[Sequence[Scored]], float],
    bounds: tuple[float, float] | None = None,
) -> CellJson:
    values_M = np.array([compute(group) for group in groups_M], dtype=np.float64)
    # A divergence that rounding made infinite has no mean; the prompt counts as undefined.
    return mean_interval(np.where(np.isfinite(values_M), values_M, math.nan), bounds=bounds).as_cell()
