"""Calls that a reward is put through: its own cases, and texts that no author thinks of.

A trial is one call, as keywords in the reward's own form. Data columns of hostile texts are those of the first case.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError, say_error
from rlkit.parameters import show
from rlkit.rewards import TRAINER_COLUMNS, BoundReward
from rlkit.rewards.guard import end_copy
from rlkit.rewards.outcomes import Outcome, judge_batch, judge_value

_NO_ANSWER_IN = {"prompt", "prompts", "completion", "completions", *TRAINER_COLUMNS}
"""What a trainer brings, which holds no right answer."""


@dataclass(frozen=True)
class Trial:
    """One call."""

    check: str
    """Which check it belongs to."""
    label: str
    """How messages call it."""
    given: dict[str, Any]
    """Keywords of the call."""
    expected: tuple[Any, ...] | None = None
    """What it must give, one value a completion; None where anything that is a score will do."""

    @property
    def texts(self) -> list[Any]:
        """The completions."""
        return list(self.given["completions"]) if "completions" in self.given else [self.given["completion"]]


def read_cases(bound: BoundReward, cases: Sequence[Any]) -> list[Trial]:
    """Return the trials that cases stand for.

    Args:
        bound: the reward.
        cases: `(text, score)`, or `({keyword: value}, score)`, with a list of scores where there are `completions`.

    Raises:
        ConfigError: a case is neither, or a group is judged by a single text.
    """
    return [_read_case(bound, number, case) for number, case in enumerate(cases, start=1)]


def _read_case(bound: BoundReward, number: int, case: Any) -> Trial:
    if not isinstance(case, list | tuple) or len(case) != 2:
        raise ConfigError(f"Case {number} of {bound.name} is {show(case)}; write (text, score) or ({{...}}, score).")
    given, expected = case
    is_single = bound.form == "completion"
    if isinstance(given, str):
        if bound.form == "group":
            raise ConfigError(
                f"Case {number} of {bound.name} is one text, but it judges groups; write "
                '({"completions": [...]}, [scores]).'
            )
        given, expected = ({"completion": given}, expected) if is_single else ({"completions": [given]}, [expected])
    key = "completion" if is_single else "completions"
    if not isinstance(given, Mapping) or key not in given:
        raise ConfigError(
            f"Case {number} of {bound.name} has no {key!r}; write ({{{key!r}: ..., column: ...}}, score)."
        )
    if not is_single and not isinstance(expected, list | tuple):
        raise ConfigError(
            f"Case {number} of {bound.name} says {show(expected)} of several completions; write a list of scores, one "
            "for each."
        )
    values = (expected,) if is_single else tuple(expected)
    return Trial("cases", f"case {number}", _with_prompts(bound, dict(given)), values)


def _with_prompts(bound: BoundReward, given: dict[str, Any]) -> dict[str, Any]:
    """Return keywords with prompts where the reward must have them; a batch always gets them from TRL."""
    if bound.form == "batch":
        return {"prompts": ["prompt"] * len(given["completions"])} | given
    needs = inspect.signature(bound.function).parameters.get("prompt")
    return given if needs is None or needs.default is not needs.empty else {"prompt": "prompt"} | given


def stand_in(bound: BoundReward) -> Trial:
    """Return a trial for a reward without cases: two completions, and what a trainer gives."""
    texts = ["So the answer is <answer>42</answer>.", "no"]
    known = {"base_rewards": 1.0, "completion_ids": [1, 2], "lengths": 2, "truncated": False, "mean_logps": -1.0}
    num_rows = 1 if bound.form == "completion" else 2
    given: dict[str, Any] = {"completion": texts[0]} if num_rows == 1 else {"completions": texts}
    for column, value in known.items():
        if bound.asks_for(column):
            given[column] = value if num_rows == 1 else [value] * num_rows
    if bound.asks_for("step"):
        given["step"] = 0
    return Trial("process", "a plain text", _with_prompts(bound, given))


def vary(bound: BoundReward, like: Trial, check: str, label: str, texts: Sequence[Any]) -> Trial:
    """Return a trial of other texts, with what else `like` is called with; columns are those of its first row."""
    if bound.form == "completion":
        return Trial(check, label, {**like.given, "completion": texts[0]})
    num_rows = len(like.given["completions"])
    given = {
        key: [value[0]] * len(texts) if isinstance(value, list) and len(value) == num_rows and value else value
        for key, value in like.given.items()
    }
    return Trial(check, label, {**given, "completions": list(texts)})


def reorder(trial: Trial, order: Sequence[int]) -> Trial:
    """Return the trial with its rows, and what is given for each, in another order."""
    num_rows = len(order)
    given = {
        key: [value[place] for place in order] if isinstance(value, list) and len(value) == num_rows else value
        for key, value in trial.given.items()
    }
    return Trial(trial.check, trial.label, given)


def call(bound: BoundReward, given: Mapping[str, Any]) -> list[Outcome]:
    """Call a reward in this thread and return one outcome a completion; what it raises is an error of all."""
    num_rows, owner = len(given["completions"]) if "completions" in given else 1, os.getpid()
    try:
        value = bound.function(**given)
        if inspect.isawaitable(value):
            value = asyncio.run(_await(value))
        return judge(bound, value, num_rows)
    except (Exception, SystemExit) as error:
        return [Outcome.error(f"it raised {say_error(error)}")] * num_rows
    finally:
        end_copy(bound.name, owner)


def judge(bound: BoundReward, value: Any, num_rows: int) -> list[Outcome]:
    """Return the outcomes of what a reward returned."""
    if isinstance(value, Mapping) and "values" in value:
        value = value["values"]
    return [judge_value(value, bound.name)] if bound.form == "completion" else judge_batch(value, num_rows, bound.name)


async def _await(value: Any) -> Any:
    return await value


def gold_columns(bound: BoundReward, trial: Trial) -> list[Any]:
    """Return the values of the first row's columns that may hold a right answer: what a recipe cannot set."""
    parameters = inspect.signature(bound.function).parameters
    golds = []
    for key, value in trial.given.items():
        if key in _NO_ANSWER_IN:
            continue
        if bound.form == "batch" and isinstance(value, list) and value:
            golds.append(value[0])
        elif bound.form == "completion" and key in parameters:
            parameter = parameters[key]
            if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                golds.append(value)
    return golds
