"""A batch of rows as calls of one reward: what is handed over, and for which rows.

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
from rlkit.rewards.bound_reward import BoundReward
from rlkit.rewards.forms import TRL_OBJECTS, wanted_columns
from rlkit.rewards.outcomes import Answer, Outcome


@dataclass
class Call:
    """One call of a reward, and what became of it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rows: list[list[int]] = field(default_factory=list)
    """The rows that it scores, in order; one list for each set of rows that have these inputs."""
    key: str | None = None
    """Digest of the inputs; None when they have none, and are like no others."""
    labels: list[Any] | None = None
    """Class of each completion, where a group reward gave them."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Numbers to be logged, where a group reward gave them."""
    outcomes: list[Outcome] = field(default_factory=list)
    """One for each score; empty until it is known."""

    @property
    def num_scores(self) -> int:
        """How many scores it has to give."""
        return len(self.rows[0])

    def enter(self, answer: Answer) -> None:
        """Note what it came to."""
        self.outcomes, self.labels, self.metrics = answer.outcomes, answer.labels, dict(answer.metrics)


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
    trainer_columns: Mapping[str, Any] | None = None,
    groups: Sequence[Hashable] | None = None,
) -> list[Call]:
    """Return the calls that score a batch.

    Args:
        bound: the reward.
        completions: B completions.
        prompts: B prompts.
        columns: data columns, each a list of B values; what is no list is the same for all rows.
        trainer_columns: what of `TRAINER_COLUMNS` is known, each a list of B values or one for all. A reward gets one
            only by naming it, a group reward the list of its group's; a data column of the same name goes first.
        groups: B labels; rows with the same label are completions of one prompt.

    Raises:
        RewardError: a group reward without groups.
    """
    if not completions:
        return []
    if bound.form == "group" and groups is None:
        raise RewardError(f"{bound.name} is a group reward and needs to know which completions belong together.")
    per_row = {"prompts" if bound.form == "batch" else "prompt": prompts, **columns}
    given, known = _choose(bound, per_row, trainer_columns or {})
    calls: dict[Any, Call] = {}
    for rows in _part(bound, len(completions), groups or ()):
        call = _make(bound.form, rows, completions, given, known)
        call.key = None if bound.takes_whole_batches else _digest(call)
        calls.setdefault(call.key or ("row", rows[0]), call).rows.append(rows)
    return [*calls.values()]


def _choose(
    bound: BoundReward, given: Mapping[str, Any], known: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the data columns and the trainer's that the reward asks for."""
    named = inspect.signature(bound.function).parameters
    if bound.form != "batch" or bound.run.isolation == "process":
        given = {key: value for key, value in given.items() if key not in TRL_OBJECTS or key in named}
    known = {key: value for key, value in known.items() if key not in given and bound.asks_for(key)}
    return {key: given[key] for key in wanted_columns(bound.function, given)}, known


def _part(bound: BoundReward, num_rows: int, groups: Sequence[Hashable]) -> list[list[int]]:
    """Return the rows of each call."""
    if bound.takes_whole_batches:
        return [[*range(num_rows)]]
    if bound.form != "group":
        return [[row] for row in range(num_rows)]
    parts: dict[Hashable, list[int]] = {}
    for row, label in enumerate(groups):
        parts.setdefault(label, []).append(row)
    return [*parts.values()]


def _make(
    form: str, rows: list[int], completions: Sequence[Any], given: Mapping[str, Any], known: Mapping[str, Any]
) -> Call:
    texts = [completions[row] for row in rows]
    if form == "batch":
        return Call((), {"completions": texts, **_pick({**known, **given}, rows)})
    columns = {key: _value_of(column, rows[0]) for key, column in given.items()}
    if form == "group":
        return Call((texts,), columns | _pick(known, rows))
    return Call((texts[0],), columns | {key: _value_of(column, rows[0]) for key, column in known.items()})


def _value_of(column: Any, row: int) -> Any:
    """Return a row's value of a column; what is no list is the same for all rows."""
    return column[row] if isinstance(column, list | tuple) else column


def _pick(columns: Mapping[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    return {
        key: [column[row] for row in rows] if isinstance(column, list | tuple) else column
        for key, column in columns.items()
    }


def _digest(call: Call) -> str | None:
    if not call.kwargs.keys().isdisjoint(TRL_OBJECTS):
        # What lives in the trainer is no input, and to write it out would be to write out the trainer.
        return None
    things = (call.args, call.kwargs)
    try:
        data = json.dumps(things, sort_keys=True).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError):
        try:
            data = pickle.dumps(things)
        except Exception:
            return None
    return hashlib.sha256(data).hexdigest()
