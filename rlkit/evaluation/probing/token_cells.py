"""Token quantities of the samples of each prompt to the entropy, branching and top-k sections of probe.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rlkit.estimators import (
    mean_interval,
    position_means,
    prompt_branching,
    sequence_mean,
    share_above,
    token_mean,
    token_quantiles,
)
from rlkit.estimators.branching import ASYMPTOTIC_LIMIT, MIN_ALIVE, PromptBranching
from rlkit.estimators.token_profiles import FORKING_NATS
from rlkit.estimators.top_k_mass import in_bits
from rlkit.evaluation.metrics.cells import CellJson
from rlkit.evaluation.probing.teacher_forcing import TokenValues
from rlkit.evaluation.samples.reading import Record

Scored = tuple[Record, TokenValues]
"""A sample and what was found at its tokens."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_CURVE_POINTS = 200


def entropy_section(groups_M: Sequence[Sequence[Scored]], vocab_size: int, name: str = "entropies") -> dict[str, Any]:
    """Return the token entropy, a cell of means over tokens within and over prompts, and what it is made of.

    Args:
        groups_M: the samples of each of M prompts; prompts without any count as undefined.
        vocab_size: V; entropies lie in [0, ln V].
        name: the quantity to sum up.
    """
    bounds = (0.0, math.log(vocab_size))
    everything = _profiles([sample for group in groups_M for sample in group], name)
    return {
        **_cell(groups_M, lambda group: token_mean(_profiles(group, name)), bounds),
        "sequence_mean": _cell(groups_M, lambda group: sequence_mean(_profiles(group, name)), bounds),
        "correct": _cell(_graded(groups_M, True), lambda group: token_mean(_profiles(group, name)), bounds),
        "wrong": _cell(_graded(groups_M, False), lambda group: token_mean(_profiles(group, name)), bounds),
        "forking_share": _cell(groups_M, lambda group: share_above(_profiles(group, name)), (0.0, 1.0)),
        "forking_above": FORKING_NATS,
        "quantiles": {
            str(level): _or_none(value)
            for level, value in zip(_QUANTILES, token_quantiles(everything, _QUANTILES), strict=True)
        },
        "by_position": _by_position(everything),
    }


def branching_section(groups_M: Sequence[Sequence[Scored]], vocab_size: int, prefix: str = "") -> dict[str, Any]:
    """Return the branching factor with its interval over prompts, exponentiated last, and its curve over position.

    Args:
        groups_M: the samples of each prompt.
        vocab_size: V; the factor lies in [1, V].
        prefix: of the names of the quantities, `sampling_` for those of the distribution drawn from.
    """
    prompts_M = [
        prompt_branching(_profiles(group, f"{prefix}entropies"), _profiles(group, f"{prefix}logps"))
        for group in groups_M
    ]
    logs = mean_interval([prompt.log_factor for prompt in prompts_M], bounds=(0.0, math.log(vocab_size))).as_cell()
    factor = {key: None if (log := logs[key]) is None else math.exp(log) for key in ("value", "low", "high")}
    return {
        **logs,
        **factor,
        "asymptotic_limit": ASYMPTOTIC_LIMIT,
        "min_alive": MIN_ALIVE,
        "num_dropped": sum(prompt.num_dropped for prompt in prompts_M),
        "curve": _curve(prompts_M),
    }


def top_k_section(groups_M: Sequence[Sequence[Scored]], k: int) -> dict[str, Any]:
    """Return mass and entropies of the k most likely tokens over all completions and over correct ones."""
    return {"k": k, **_top_k_cells(groups_M, k), "correct": _top_k_cells(_graded(groups_M, True), k)}


def _top_k_cells(groups_M: Sequence[Sequence[Scored]], k: int) -> dict[str, CellJson]:
    def cell(name: str, low: float, high: float, unit: Callable[[float], float] = float) -> CellJson:
        return _cell(groups_M, lambda group: unit(token_mean(_profiles(group, name))), (unit(low), unit(high)))

    most = math.log(k)
    return {
        "mass": cell("top_mass", 0.0, 1.0),
        "entropy_nats": cell("top_entropies", 0.0, math.inf),
        "entropy_bits": cell("top_entropies", 0.0, math.inf, in_bits),
        "entropy_renormalised_nats": cell("top_entropies_renormalised", 0.0, most),
        "entropy_renormalised_bits": cell("top_entropies_renormalised", 0.0, most, in_bits),
    }


def _by_position(profiles: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    edges = [0, 1]
    while edges[-1] < max(map(len, profiles), default=0):
        edges.append(4 * edges[-1])
    means, counts = position_means(profiles, edges)
    return [
        {"first": low + 1, "last": high, "value": _or_none(mean), "num_tokens": int(count)}
        for low, high, mean, count in zip(edges, edges[1:], means, counts, strict=False)
    ]


def _curve(prompts_M: Sequence[PromptBranching]) -> list[dict[str, Any]]:
    """Return the curve at all positions, or where they are many, at positions that lie denser near the start."""
    longest = max((len(prompt.prefix_T) for prompt in prompts_M), default=0)
    points = list(range(longest))
    if longest > _MOST_CURVE_POINTS:
        points = sorted({round(at) - 1 for at in np.geomspace(1, longest, _MOST_CURVE_POINTS)})
    curve = []
    for at in points:
        alive = [prompt for prompt in prompts_M if len(prompt.prefix_T) > at]
        curve.append(
            {
                "position": at + 1,
                "value": math.exp(sum(float(prompt.prefix_T[at]) for prompt in alive) / len(alive)),
                "local": math.exp(sum(float(prompt.local_T[at]) for prompt in alive) / len(alive)),
                "num_prompts": len(alive),
                "num_sequences": sum(int(prompt.num_alive_T[at]) for prompt in alive),
            }
        )
    return curve


def _cell(
    groups_M: Sequence[Sequence[Scored]], compute: Callable[[Sequence[Scored]], float], bounds: tuple[float, float]
) -> CellJson:
    return mean_interval([compute(group) for group in groups_M], bounds=bounds).as_cell()


def _graded(groups_M: Sequence[Sequence[Scored]], correct: bool) -> list[list[Scored]]:
    return [[sample for sample in group if sample[0].get("correct") is correct] for group in groups_M]


def _profiles(samples: Sequence[Scored], name: str) -> list[np.ndarray]:
    return [values[name] for _, values in samples]


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
