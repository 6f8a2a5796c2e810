"""The decorators that mark a reward's form, and TRL's way to call what they mark; the forms are in `forms.py`.

Called as they were written, decorated functions are what they were. Called in TRL's way, with `prompts=` and
`completions=`, they are batch rewards, so that a plain `trl.GRPOTrainer` can be given them; a group is then the rows of
one prompt that follow each other.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from rlkit.errors import ConfigError, RewardError
from rlkit.parameters import check_choice
from rlkit.rewards.bound_reward import BoundReward, bind_reward
from rlkit.rewards.calls import Call, split_calls
from rlkit.rewards.forms import ROLES, is_async
from rlkit.rewards.outcomes import judge, share
from rlkit.rewards.run_settings import check_names, merge_settings

Function = TypeVar("Function", bound=Callable[..., Any])


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


def score_batch(function: Any, completions: Sequence[Any], *, prompts: Sequence[Any], **columns: Any) -> Any:
    """Return the scores of rows, (B,), by a per-completion or group reward; a coroutine of them by an async one.

    Args:
        function: the reward.
        completions: B completions.
        prompts: B prompts; rows with the same prompt that follow each other are a group.
        columns: data columns, each a list of B values, and what else TRL hands over.

    Raises:
        RewardError: the reward returned what is no score, or another number of them than there are completions.
    """
    bound = bind_reward(function)
    starts = [row == 0 or prompts[row] != prompts[row - 1] for row in range(len(prompts))]
    groups = [*itertools.accumulate(starts)]
    calls = split_calls(bound, completions, prompts, *_take_apart(bound, columns), groups=groups)
    if bound.is_async:
        return _await_calls(bound, calls, len(completions), columns)
    answers = [bound.function(*call.args, **call.kwargs) for call in calls]
    return _read(bound, calls, answers, len(completions), columns)


async def _await_calls(bound: BoundReward, calls: list[Call], num_rows: int, columns: Mapping[str, Any]) -> Any:
    answers = await asyncio.gather(*(bound.function(*call.args, **call.kwargs) for call in calls))
    return _read(bound, calls, answers, num_rows, columns)


def _take_apart(bound: BoundReward, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what TRL hands over as data columns, and as what of `TRAINER_COLUMNS` follows from it."""
    columns, known = dict(given), {}
    if isinstance(ids := columns.get("completion_ids"), list):
        known = {"completion_ids": ids, "lengths": [len(row) for row in ids]}
        if bound.form == "group":
            # A data column is one value a group; these are one a completion.
            del columns["completion_ids"]
    if columns.get("trainer_state") is not None:
        known["step"] = columns["trainer_state"].global_step
    return columns, known


def _read(
    bound: BoundReward, calls: list[Call], answers: Sequence[Any], num_rows: int, columns: Mapping[str, Any]
) -> list[float | None]:
    for call, answer in zip(calls, answers, strict=True):
        call.enter(judge(answer, bound.form, call.num_scores, bound.name))
        for name, value in call.metrics.items() if columns.get("log_metric") is not None else ():
            columns["log_metric"](f"rewards/{bound.name}/{name}", value)
    outcomes_B = share([(call.rows, call.outcomes) for call in calls], num_rows)
    for outcome in outcomes_B:
        if outcome.status == "error":
            raise RewardError(outcome.reason)
    return [outcome.value for outcome in outcomes_B]


def _mark(function: Any, form: str, role: str, run: dict[str, Any]) -> Any:
    if function is None:
        return functools.partial(_mark, form=form, role=role, run=run)
    if not callable(function):
        raise ConfigError(f"A reward's decorator was given {function!r}; write its settings as name=value.")
    check_choice("A reward", "role", role, ROLES)
    run = check_names(run)
    merge_settings({}, run, is_async(function))
    if inspect.isfunction(function):
        function = _answer_trl(function)
    function.reward_form, function.reward_role, function.reward_run = form, role, run
    return function


def _answer_trl(function: Any) -> Any:
    """Return the function, which also answers a call with TRL's keywords."""

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        return score_batch(call, **given) if not args and _is_trls(given) else function(*args, **given)

    @functools.wraps(function)
    async def await_call(*args: Any, **given: Any) -> Any:
        return await (score_batch(await_call, **given) if not args and _is_trls(given) else function(*args, **given))

    return await_call if inspect.iscoroutinefunction(function) else call


def _is_trls(given: Mapping[str, Any]) -> bool:
    return "prompts" in given and "completions" in given
