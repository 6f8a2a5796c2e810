"""Three forms of reward, one contract.

- Batch (TRL's own): `f(completions, *, prompts, **columns) -> list[float | None]`, any rows in any number.
- `@reward`: `f(completion, **columns) -> float | None`, one completion at a time.
- `@group_reward`: `f(completions, *, prompt, **columns) -> list[float | None]`, always all completions of one prompt,
  however ranks split the batch.

`None` means *not scored* and is never turned into 0. A function asks for data columns by naming them as parameters;
with `**columns` it gets all of them. In the per-completion and group forms the column of a row is its single value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from rlkit.errors import PluginError, RewardError
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin

Scores = list[float | None]
BatchReward = Callable[..., Scores]

REWARDS = PluginKind("reward", "rlkit.rewards", {"countdown": "rlkit.tasks.countdown:countdown_reward"})


def reward(function: Callable[..., float | None]) -> Callable[..., float | None]:
    """Mark `f(completion, **columns) -> float | None` as a reward that judges one completion at a time."""
    function.reward_form = "completion"  # type: ignore[attr-defined]
    return function


def group_reward(function: Callable[..., Scores]) -> Callable[..., Scores]:
    """Mark `f(completions, *, prompt, **columns) -> list[float | None]` as a reward that needs a whole group."""
    function.reward_form = "group"  # type: ignore[attr-defined]
    return function


def is_group_reward(function: Any) -> bool:
    """Return whether a reward was marked by `group_reward`."""
    return getattr(function, "reward_form", "batch") == "group"


def resolve_reward(spec: Any) -> Callable[..., Any]:
    """Return the reward that a recipe's `rewards:` names, in the form in which it was written.

    Raises:
        PluginError: no such reward, it cannot be imported, or it is not a function.
    """
    function = resolve_plugin(spec, REWARDS)
    if not callable(function):
        raise PluginError(f"The reward {spec!r} is {function!r}, which cannot be called; name a function.")
    return function


def as_batch_reward(function: Callable[..., Any]) -> BatchReward:
    """Return a reward in TRL's form; batch rewards come back as they are, group rewards are refused.

    Raises:
        RewardError: a group reward was given, which only a trainer that gathers whole groups can call.
    """
    form = getattr(function, "reward_form", "batch")
    if form == "group":
        raise RewardError(
            f"{_name(function)} is a group reward; give it to DiverseGRPOTrainer, which gathers whole groups."
        )
    if form == "batch":
        return function

    def score_rows(completions: Sequence[Any], *, prompts: Sequence[Any], **columns: Any) -> Scores:
        per_row = {"prompt": prompts} | columns
        wanted = _wanted_columns(function, per_row)
        return [function(text, **{key: _row(per_row[key], i) for key in wanted}) for i, text in enumerate(completions)]

    score_rows.__name__ = _name(function)
    return score_rows


def score_groups(
    function: Callable[..., Scores],
    num_generations: int,
    completions: Sequence[Any],
    prompts: Sequence[Any],
    **columns: Any,
) -> Scores:
    """Call a group reward on each whole group of a batch and return the scores in row order.

    Args:
        function: a reward marked by `group_reward`.
        num_generations: G; rows `g * G ... (g + 1) * G - 1` form group g.
        completions: B = P * G completions.
        prompts: B prompts.
        columns: data columns, each a list of B values; anything that is no list is passed through as it is.

    Raises:
        RewardError: the function returned something other than G scores.
    """
    scores: Scores = []
    wanted = _wanted_columns(function, {"prompt": prompts} | columns)
    for start in range(0, len(completions), num_generations):
        rows = slice(start, start + num_generations)
        given = {key: _row(prompts if key == "prompt" else columns[key], start) for key in wanted}
        group = list(function(list(completions[rows]), **given))
        if len(group) != len(completions[rows]):
            raise RewardError(
                f"The group reward {_name(function)} returned {len(group)} scores for {len(completions[rows])} "
                "completions; return one score, or None, for each."
            )
        scores.extend(group)
    return scores


def _wanted_columns(function: Callable[..., Any], available: dict[str, Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return list(available)
    named = [parameter.name for parameter in parameters]
    return [key for key in available if key in named]


def _row(column: Any, index: int) -> Any:
    return column[index] if isinstance(column, list | tuple) else column


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
