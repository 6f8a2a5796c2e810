"""Three forms of reward, one contract.

- Batch (TRL's own): `f(completions, *, prompts, **columns) -> list[float | None]`, any rows in any number.
- `@reward`: `f(completion, **columns) -> float | None`, one completion at a time.
- `@group_reward`: `f(completions, *, prompt, **columns) -> list[float | None]`, always all completions of one prompt,
  however ranks split the batch.

`None` means *not scored* and is never turned into 0. A function asks for data columns by naming them as parameters;
with `**columns` it gets all of them. In the per-completion and group forms the column of a row is its single value.
Each form may be `async def`. Parameters with a default, or after `*`, can be given in a recipe: see `binding.py`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from rlkit.errors import ConfigError, RewardError
from rlkit.parameters import check_choice
from rlkit.plugins import PluginKind
from rlkit.rewards.settings import check_names, merge_settings
from rlkit.shipped import shipped_plugins

Scores = list[float | None]
BatchReward = Callable[..., Scores]
Function = TypeVar("Function", bound=Callable[..., Any])

REWARDS = PluginKind("reward", "rlkit.rewards", shipped_plugins("rewards"))
ROLES = ("base", "modifier", "penalty")


@overload
def reward(function: Function, /) -> Function: ...
@overload
def reward(*, role: str = "base", **run: Any) -> Callable[[Function], Function]: ...
def reward(function: Any = None, /, *, role: str = "base", **run: Any) -> Any:
    """Mark `f(completion, **columns) -> float | None` as a reward that judges one completion at a time.

    Bare, `@reward`, or with how it is meant to be run, `@reward(isolation="process", deadline_s=5)`.

    Args:
        function: the function, which stays callable as it was written.
        role: `base`, what is learnt; `modifier`, what shapes it; `penalty`, what is taken off.
        run: fields of `RunSettings`; a recipe's `run` overrules them.

    Raises:
        ConfigError: no such setting or role.
    """
    return _mark(function, "completion", role, run)


@overload
def group_reward(function: Function, /) -> Function: ...
@overload
def group_reward(*, role: str = "base", **run: Any) -> Callable[[Function], Function]: ...
def group_reward(function: Any = None, /, *, role: str = "base", **run: Any) -> Any:
    """Mark `f(completions, *, prompt, **columns) -> list[float | None]` as a reward that needs a whole group.

    Takes what `reward` takes.
    """
    return _mark(function, "group", role, run)


def _mark(function: Any, form: str, role: str, run: dict[str, Any]) -> Any:
    if function is None:
        return functools.partial(_mark, form=form, role=role, run=run)
    if not callable(function):
        raise ConfigError(f"A reward's decorator was given {function!r}; write its settings as name=value.")
    check_choice("A reward", "role", role, ROLES)
    merge_settings({}, check_names(run), is_async(function))
    function.reward_form, function.reward_role, function.reward_run = form, role, run
    return function


def is_async(function: Any) -> bool:
    """Return whether calling a reward gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    call = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(call)


def is_group_reward(function: Any) -> bool:
    """Return whether a reward was marked by `group_reward`."""
    return getattr(function, "reward_form", "batch") == "group"


def as_batch_reward(function: Callable[..., Any]) -> BatchReward:
    """Return a reward in TRL's form; batch rewards come back as they are, group rewards are refused.

    Raises:
        RewardError: a group reward was given, which only a trainer that gathers whole groups can call.
    """
    form = getattr(function, "reward_form", "batch")
    if form == "group":
        raise RewardError(
            f"{name_of(function)} is a group reward; give it to DiverseGRPOTrainer, which gathers whole groups."
        )
    if form == "batch":
        return function

    def score_rows(completions: Sequence[Any], *, prompts: Sequence[Any], **columns: Any) -> list[Any]:
        per_row = {"prompt": prompts} | columns
        wanted = wanted_columns(function, [*per_row])
        return [
            function(text, **{key: value_of(per_row[key], i) for key in wanted}) for i, text in enumerate(completions)
        ]

    async def await_rows(completions: Sequence[Any], *, prompts: Sequence[Any], **columns: Any) -> Any:
        return await asyncio.gather(*score_rows(completions, prompts=prompts, **columns))

    scorer: Any = await_rows if is_async(function) else score_rows
    scorer.__name__ = name_of(function)
    return scorer


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
        RewardError: the function returned something other than G scores, or is `async def`.
    """
    if is_async(function):
        raise RewardError(f"{name_of(function)} is an async group reward; score it with a RewardEngine.")
    scores: Scores = []
    wanted = wanted_columns(function, ["prompt", *columns])
    for start in range(0, len(completions), num_generations):
        rows = slice(start, start + num_generations)
        given = {key: value_of(prompts if key == "prompt" else columns[key], start) for key in wanted}
        group = list(function(list(completions[rows]), **given))
        if len(group) != len(completions[rows]):
            raise RewardError(
                f"The group reward {name_of(function)} returned {len(group)} scores for {len(completions[rows])} "
                "completions; return one score, or None, for each."
            )
        scores.extend(group)
    return scores


def wanted_columns(function: Callable[..., Any], available: Sequence[str]) -> list[str]:
    """Return the columns that a reward asks for: those it names, or all with `**columns`, less set parameters."""
    bound = function.keywords if isinstance(function, functools.partial) else {}
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = [parameter.name for parameter in parameters]
    return [key for key in available if key not in bound and (takes_all or key in named)]


def value_of(column: Any, index: int) -> Any:
    """Return a row's value of a column; what is no list is the same for all rows."""
    return column[index] if isinstance(column, list | tuple) else column


def name_of(function: Any) -> str:
    """Return how messages call a reward."""
    return getattr(function, "__name__", type(function).__name__)
