"""Bringing whole groups together when ranks split the batch.

TRL hands a reward this rank's rows only, and a group may straddle ranks. Every function here is a collective: all ranks
must call it, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accelerate.utils import gather_object

from rlkit.rewards import as_batch_reward, is_group_reward, score_groups

# TRL passes these beside the data columns; they belong to one process and must not travel.
_LOCAL_ARGUMENTS = ("trainer_state", "log_extra", "log_metric", "environments")


def adapt_reward(function: Any, group_size: Callable[[], int], rank: int, world_size: int) -> Any:
    """Return a reward as TRL can call it; group rewards see whole groups whatever rank their rows are on.

    Args:
        function: a reward in any of the forms of `rlkit.rewards.contract`, or a reward model, which is left alone.
        group_size: says how many completions a prompt has now (training and evaluation may differ).
        rank: index of this process.
        world_size: number of processes.
    """
    if not is_group_reward(function):
        return as_batch_reward(function) if getattr(function, "reward_form", None) else function

    def score_rows(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
        columns.pop("completion_ids", None)
        local = {key: columns.pop(key) for key in _LOCAL_ARGUMENTS if key in columns}
        if world_size == 1:
            return score_groups(function, group_size(), completions, prompts, **columns, **local)
        whole = {key: gather_object(values) for key, values in sorted(columns.items())}
        all_completions, all_prompts = gather_object(completions), gather_object(prompts)
        scores = _score_shared_out(
            function, group_size(), rank, world_size, all_completions, all_prompts, whole | local
        )
        return scores[rank * len(prompts) : (rank + 1) * len(prompts)]

    score_rows.__name__ = getattr(function, "__name__", type(function).__name__)
    return score_rows


def _score_shared_out(
    function: Any,
    group_size: int,
    rank: int,
    world_size: int,
    completions: list,
    prompts: list,
    columns: dict[str, Any],
) -> list[float | None]:
    """Score every `world_size`-th group here, then exchange: no group is scored twice, and all ranks end up equal."""
    mine: list[tuple[int, list[float | None]]] = []
    for group in range(rank, len(completions) // group_size, world_size):
        rows = slice(group * group_size, (group + 1) * group_size)
        given = {key: values[rows] if isinstance(values, list) else values for key, values in columns.items()}
        mine.append((group, score_groups(function, group_size, completions[rows], prompts[rows], **given)))
    return [score for _, scores in sorted(gather_object(mine)) for score in scores]
