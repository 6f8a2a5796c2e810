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
from rlkit.parameters import show
from rlkit.rewards.binding import BoundReward
from rlkit.rewards.contract import value_of, wanted_columns
from rlkit.rewards.outcomes import Outcome, judge_batch, judge_value

_LOCAL = ("environments", "log_extra", "log_metric", "trainer_state")
"""What TRL hands over that lives in the trainer's process: batch rewards on its thread get it, others by its name."""


@dataclass
class Call:
    """One call of a reward."""

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
    facts: Mapping[str, Any] | None = None,
) -> list[Call]:
    """Return the calls that score a batch.

    Args:
        bound: the reward.
        completions: B completions.
        prompts: B prompts.
        columns: data columns, each a list of B values; what is no list is the same for all rows.
        groups: B labels; rows with the same label are completions of one prompt.
        facts: what is known of each completion beside the data, a list of B values or one for all. A reward gets one
            only by naming it, a group reward the list of its group's; a column of the same name goes first.

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
    named = inspect.signature(bound.function).parameters
    if bound.form != "batch" or bound.run.isolation == "process":
        given = {key: value for key, value in given.items() if key not in _LOCAL or key in named}
    known = {key: value for key, value in (facts or {}).items() if key in named and key not in given}
    wanted = wanted_columns(bound.function, [*given])
    known = {key: known[key] for key in wanted_columns(bound.function, [*known])}
    calls: dict[Any, Call] = {}
    for rows in parts:
        call = _make(bound.form, rows, completions, {key: given[key] for key in wanted}, known)
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
    """Return the outcomes of what a call returned; a group reward may return a mapping with more than the values."""
    if bound.form == "completion":
        return [judge_value(value, bound.name)]
    if bound.form == "group" and isinstance(value, Mapping):
        return _judge_mapping(bound, call, value)
    return judge_batch(value, call.num_scores, bound.name)


def fail(bound: BoundReward, call: Call, status: str, reason: str, where: str | None = None) -> list[Outcome]:
    """Return the outcomes of a call that failed or was given up."""
    make = Outcome.timeout if status == "timeout" else Outcome.error
    return [make(f"The reward {bound.name}: {reason}", where)] * call.num_scores


def _judge_mapping(bound: BoundReward, call: Call, given: Mapping[str, Any]) -> list[Outcome]:
    labels, metrics = given.get("labels"), given.get("metrics") or {}
    fault = None
    if strange := [key for key in given if key not in ("values", "labels", "metrics")]:
        fault = f"a mapping with {show(strange[0])}; write values, labels and metrics"
    elif "values" not in given:
        fault = "a mapping without values"
    elif labels is not None and (not isinstance(labels, list | tuple) or len(labels) != call.num_scores):
        fault = f"labels {show(labels)} for {call.num_scores} completions; give each its class"
    elif not isinstance(metrics, Mapping) or any(judge_value(value, "").status != "ok" for value in metrics.values()):
        fault = f"the metrics {show(metrics)}; write name: finite number"
    if fault:
        return fail(bound, call, "error", f"It returned {fault}.")
    call.labels = None if labels is None else [*labels]
    call.metrics = {str(name): float(judge_value(value, "").value or 0.0) for name, value in metrics.items()}
    return judge_batch(given["values"], call.num_scores, bound.name)


def _make(
    form: str, rows: list[int], completions: Sequence[Any], given: Mapping[str, Any], facts: Mapping[str, Any]
) -> Call:
    texts = [completions[row] for row in rows]
    if form == "batch":
        return Call((), {"completions": texts, **_pick({**facts, **given}, rows)})
    columns = {key: value_of(column, rows[0]) for key, column in given.items()}
    if form == "completion":
        columns |= {key: value_of(fact, rows[0]) for key, fact in facts.items()}
    else:
        columns |= _pick(facts, rows)
    return Call((texts if form == "group" else texts[0],), columns)


def _pick(columns: Mapping[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    return {
        key: [column[row] for row in rows] if isinstance(column, list | tuple) else column
        for key, column in columns.items()
    }


def _group(groups: Sequence[Hashable]) -> list[list[int]]:
    rows: dict[Hashable, list[int]] = {}
    for row, label in enumerate(groups):
        rows.setdefault(label, []).append(row)
    return [*rows.values()]


def _digest(call: Call) -> str | None:
    if not call.kwargs.keys().isdisjoint(_LOCAL):
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
