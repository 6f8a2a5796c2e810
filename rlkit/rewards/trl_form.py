"""Rewards of any form, called as TRL calls them: some rows of a batch, as lists, by keyword."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlkit.errors import RewardError
from rlkit.rewards.contract import is_async, is_group_reward, name_of, value_of, wanted_columns

Scores = list[float | None]
Rows = tuple[Any, dict[str, Any]]
"""What one call of a function is given: a completion or a group's, and the columns."""

_LOCAL = ("trainer_state", "log_extra", "log_metric", "environments")


def as_batch_reward(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a reward in TRL's form; batch rewards come back as they are."""
    if getattr(function, "reward_form", "batch") == "batch":
        return function
    scorer: Any = functools.partial(score_batch, function)
    if is_async(function):
        scorer = _awaiting(function)
    scorer.__name__ = name_of(function)
    return scorer


def score_batch(function: Any, completions: Sequence[Any], *, prompts: Sequence[Any], **columns: Any) -> Any:
    """Return the scores of rows, (B,), by a per-completion or group reward; a coroutine of them by an async one.

    Args:
        function: the reward.
        completions: B completions.
        prompts: B prompts; rows with the same prompt that follow each other are a group.
        columns: data columns, each a list of B values, and what else TRL hands over.

    Raises:
        RewardError: a group reward returned something other than one score for each completion.
    """
    is_group = is_group_reward(function)
    calls = _split_groups(function, completions, prompts, columns) if is_group else None
    if calls is None:
        calls = _split_rows(function, completions, prompts, columns)
    read = functools.partial(_read_group, function, columns.get("log_metric")) if is_group else _read_row
    if is_async(function):
        return _await_calls(function, calls, read)
    return [score for given, named in calls for score in read(given, function(given, **named))]


def _awaiting(function: Any) -> Callable[..., Any]:
    async def await_batch(completions: Sequence[Any], *, prompts: Sequence[Any], **columns: Any) -> Any:
        return await score_batch(function, completions, prompts=prompts, **columns)

    return await_batch


async def _await_calls(function: Any, calls: Sequence[Rows], read: Callable[[Any, Any], Scores]) -> Scores:
    answers = await asyncio.gather(*(function(given, **named) for given, named in calls))
    return [score for (given, _), answer in zip(calls, answers, strict=True) for score in read(given, answer)]


def _split_rows(
    function: Any, completions: Sequence[Any], prompts: Sequence[Any], columns: dict[str, Any]
) -> list[Rows]:
    per_row = {"prompt": prompts} | columns
    wanted = wanted_columns(function, [*per_row])
    return [(text, {key: value_of(per_row[key], row) for key in wanted}) for row, text in enumerate(completions)]


def _split_groups(
    function: Any, completions: Sequence[Any], prompts: Sequence[Any], columns: dict[str, Any]
) -> list[Rows]:
    per_row, named = {"prompt": prompts} | columns, inspect.signature(function).parameters
    facts: dict[str, Any] = {}
    if isinstance(ids := per_row.pop("completion_ids", None), list):
        facts = {"completion_ids": ids, "lengths": [len(row) for row in ids]}
    if columns.get("trainer_state") is not None:
        facts["step"] = columns["trainer_state"].global_step
    facts = {key: facts[key] for key in wanted_columns(function, [*facts]) if key in named and key not in per_row}
    wanted = [key for key in wanted_columns(function, [*per_row]) if key not in _LOCAL or key in named]
    starts = [row for row in range(len(prompts)) if row == 0 or prompts[row] != prompts[row - 1]]
    calls = []
    for start, end in zip(starts, [*starts[1:], len(prompts)], strict=True):
        given = {key: value_of(per_row[key], start) for key in wanted}
        given |= {key: fact[start:end] if isinstance(fact, list) else fact for key, fact in facts.items()}
        calls.append((list(completions[start:end]), given))
    return calls


def _read_row(_: Any, score: Any) -> Scores:
    return [score]


def _read_group(function: Any, log_metric: Callable[[str, float], None] | None, given: Any, answer: Any) -> Scores:
    if isinstance(answer, Mapping):
        for name, value in (answer.get("metrics") or {}).items():
            if log_metric is not None:
                log_metric(f"rewards/{name_of(function)}/{name}", value)
        answer = answer["values"]
    group = list(answer)
    if len(group) != len(given):
        raise RewardError(
            f"The group reward {name_of(function)} returned {len(group)} scores for {len(given)} "
            "completions; return one score, or None, for each."
        )
    return group
