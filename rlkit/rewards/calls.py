"""A batch of rows as calls of one reward: what is handed over, and whose scores come back.

Rows with the same inputs share one call, so that a reward is asked once for the eight copies of a short answer. Inline
batch rewards are the exception: they get the whole batch, as TRL hands it over.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlkit.errors import RewardError
from rlkit.rewards.binding import BoundReward
from rlkit.rewards.contract import value_of, wanted_columns
from rlkit.rewards.outcomes import Outcome, judge_batch, judge_value

_LOCAL = ("environments", "log_extra", "log_metric", "trainer_state")
"""What TRL hands over that lives in the trainer's process; a worker gets it only by asking for it by name."""


@dataclass
class Call:
    """One call of a reward."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rows: list[list[int]] = field(default_factory=list)
    """The rows that it scores, in order; one list for each set of rows that have these inputs."""
    key: str | None = None
    """Digest of the inputs; None when they have none, and are like no others."""

    @property
    def num_scores(self) -> int:
        """How many scores it has to give."""
        return len(self.rows[0])


@dataclass(frozen=True)
class Invoke:
    """A reward as one argument of a worker or cache: `Invoke(function)(args=..., kwargs=...)`."""

    function: Any

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call it."""
        return self.function(*args, **kwargs)


def split_calls(
    bound: BoundReward,
    completions: Sequence[Any],
    prompts: Sequence[Any],
    columns: Mapping[str, Any],
    groups: Sequence[Hashable] | None,
) -> list[Call]:
    """Return the calls that score a batch.

    Args:
        bound: the reward.
        completions: B completions.
        prompts: B prompts.
        columns: data columns, each a list of B values; what is no list is the same for all rows.
        groups: B labels; rows with the same label are completions of one prompt.

    Raises:
        RewardError: a group reward without groups.
    """
    if not completions:
        return []
    if bound.form == "group" and groups is None:
        raise RewardError(f"{bound.name} is a group reward and needs to know which completions belong together.")
    is_whole = bound.form == "batch" and not bound.run.cache and bound.run.isolation != "process"
    if is_whole:
        parts = [[*range(len(completions))]]
    elif bound.form == "group":
        parts = _group(groups or ())
    else:
        parts = [[row] for row in range(len(completions))]
    given = {"prompts" if bound.form == "batch" else "prompt": prompts, **columns}
    if bound.run.isolation == "process":
        named = inspect.signature(bound.function).parameters
        given = {key: value for key, value in given.items() if key not in _LOCAL or key in named}
    calls: dict[Any, Call] = {}
    wanted = wanted_columns(bound.function, [*given])
    for rows in parts:
        call = _make(bound.form, rows, completions, {key: given[key] for key in wanted})
        call.key = None if is_whole else _digest(call)
        calls.setdefault(call.key or ("row", rows[0]), call).rows.append(rows)
    return [*calls.values()]


def share(calls: Sequence[Call], outcomes: Sequence[Sequence[Outcome]], num_rows: int) -> list[Outcome]:
    """Return the outcomes of all rows from those of the calls."""
    shared: list[Outcome | None] = [None] * num_rows
    for call, given in zip(calls, outcomes, strict=True):
        for rows in call.rows:
            for row, outcome in zip(rows, given, strict=True):
                shared[row] = outcome
    assert None not in shared, "every row belongs to a call"
    return [outcome for outcome in shared if outcome is not None]


def judge(bound: BoundReward, call: Call, value: Any) -> list[Outcome]:
    """Return the outcomes of what a call returned."""
    if bound.form == "completion":
        return [judge_value(value, bound.name)]
    return judge_batch(value, call.num_scores, bound.name)


def fail(bound: BoundReward, call: Call, status: str, reason: str, where: str | None = None) -> list[Outcome]:
    """Return the outcomes of a call that failed or was given up."""
    make = Outcome.timeout if status == "timeout" else Outcome.error
    return [make(f"The reward {bound.name}: {reason}", where)] * call.num_scores


def _make(form: str, rows: list[int], completions: Sequence[Any], given: Mapping[str, Any]) -> Call:
    texts = [completions[row] for row in rows]
    if form == "batch":
        columns = {
            key: [column[row] for row in rows] if isinstance(column, list | tuple) else column
            for key, column in given.items()
        }
        return Call((), {"completions": texts, **columns})
    columns = {key: value_of(column, rows[0]) for key, column in given.items()}
    return Call((texts if form == "group" else texts[0],), columns)


def _group(groups: Sequence[Hashable]) -> list[list[int]]:
    rows: dict[Hashable, list[int]] = {}
    for row, label in enumerate(groups):
        rows.setdefault(label, []).append(row)
    return [*rows.values()]


def _digest(call: Call) -> str | None:
    things = (call.args, call.kwargs)
    try:
        data = json.dumps(things, sort_keys=True).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError):
        try:
            data = pickle.dumps(things)
        except Exception:
            return None
    return hashlib.sha256(data).hexdigest()
