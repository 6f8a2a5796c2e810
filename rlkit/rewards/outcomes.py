"""What became of one reward of one completion: four outcomes, never a silent 0.

- `ok`: the plug-in gave a finite number.
- `abstain`: it gave None, or NaN as in TRL, so this completion is not scored by it.
- `error`: it raised, died, or gave what is no score (an infinity, a text, a list of the wrong length).
- `timeout`: it did not answer before its deadline.

Only `ok` carries a value. Whoever trains on the others has to decide so in the open: see `failure_counts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

from rlkit.errors import RewardError
from rlkit.parameters import show

Status = Literal["ok", "abstain", "error", "timeout"]
STATUSES: tuple[Status, ...] = ("ok", "abstain", "error", "timeout")

_LARGEST = 3.4e38
"""Of float32, in which rewards are summed and gathered: anything larger would become an infinity there."""


@dataclass(frozen=True)
class Outcome:
    """What one reward said of one completion.

    Raises:
        RewardError: a value that is not finite, or a value in an outcome that has none.
    """

    status: Status
    value: float | None = None
    """The score; None unless the status is `ok`."""
    reason: str | None = None
    """One sentence for `error` and `timeout`, and for an `abstain` that was a NaN: what happened."""
    traceback: str | None = None
    """Where it happened, in the plug-in's own lines."""

    def __post_init__(self) -> None:
        """Hold the four outcomes apart."""
        if self.status not in STATUSES:
            raise RewardError(f"An outcome was given the status {self.status!r}; write one of {', '.join(STATUSES)}.")
        if (self.status == "ok") != (self.value is not None) or not math.isfinite(self.value or 0.0):
            raise RewardError(f"An outcome {self.status!r} was given the value {self.value!r}; only ok has a number.")

    @classmethod
    def ok(cls, value: float) -> Outcome:
        """Return the outcome of a finite score."""
        return cls("ok", float(value))

    @classmethod
    def abstain(cls) -> Outcome:
        """Return the outcome of a completion that the plug-in chose not to score."""
        return cls("abstain")

    @classmethod
    def error(cls, reason: str, traceback: str | None = None) -> Outcome:
        """Return the outcome of a call that failed."""
        return cls("error", None, reason, traceback)

    @classmethod
    def timeout(cls, reason: str, traceback: str | None = None) -> Outcome:
        """Return the outcome of a call that was given up."""
        return cls("timeout", None, reason, traceback)


def judge_value(value: Any, name: str) -> Outcome:
    """Return the outcome of what a plug-in returned for one completion.

    Args:
        value: None and NaN abstain; a bool, whole number or float that is finite is a score, also as a scalar of NumPy
            or PyTorch; everything else is an error.
        name: the reward, for the sentence.
    """
    if value is None:
        return Outcome.abstain()
    number = _scalar(value)
    if not isinstance(number, bool | int | float):
        return Outcome.error(f"The reward {name} returned {show(value)}, a {type(value).__name__}, which is no score.")
    try:
        score = float(number)
    except OverflowError:
        return Outcome.error(f"The reward {name} returned {show(value)}, which is too large for a score.")
    if _LARGEST < abs(score) < math.inf:
        return Outcome.error(f"The reward {name} returned {show(value)}, which is too large for a score.")
    if math.isnan(score):
        return Outcome("abstain", None, f"The reward {name} returned nan, which counts as not scored; return None.")
    if not math.isfinite(score):
        return Outcome.error(f"The reward {name} returned {score}; a score is finite, and None says not scored.")
    return Outcome.ok(score)


def judge_batch(values: Any, num_rows: int, name: str) -> list[Outcome]:
    """Return the outcomes of what a plug-in returned for `num_rows` completions.

    A list of another length, or no list at all, is an error of every row: nobody can say whose scores are whose.
    """
    rows = values if isinstance(values, list | tuple) else _as_list(values, num_rows)
    if rows is None:
        said = f"The reward {name} returned {show(values)}, a {type(values).__name__}, instead of a list of scores."
        return [Outcome.error(said)] * num_rows
    if len(rows) != num_rows:
        said = (
            f"The reward {name} returned {len(rows)} scores for {num_rows} completions; return one, or None, for each."
        )
        return [Outcome.error(said)] * num_rows
    return [judge_value(value, name) for value in rows]


class Answer(NamedTuple):
    """What a call of a reward came to."""

    outcomes: list[Outcome]
    """One for each score that was asked for."""
    labels: list[Any] | None = None
    """Class of each completion, where a group reward gave them."""
    metrics: Mapping[str, float] = {}
    """Numbers to be logged, where a group reward gave them."""


def judge(value: Any, form: str, num_scores: int, name: str) -> Answer:
    """Return what the returned value of a call says; a group reward may return a mapping with more than the values.

    Args:
        value: what the reward returned.
        form: of the reward, `completion`, `batch` or `group`.
        num_scores: how many scores it was asked for.
        name: the reward, for sentences.
    """
    if form == "completion":
        return Answer([judge_value(value, name)])
    if form == "group" and isinstance(value, Mapping):
        return _judge_mapping(value, num_scores, name)
    return Answer(judge_batch(value, num_scores, name))


def fail(name: str, num_scores: int, status: str, reason: str, where: str | None = None) -> Answer:
    """Return what a call came to that failed or was given up."""
    make = Outcome.timeout if status == "timeout" else Outcome.error
    return Answer([make(f"The reward {name}: {reason}", where)] * num_scores)


def share(found: Iterable[tuple[Sequence[Sequence[int]], Sequence[Outcome]]], num_rows: int) -> list[Outcome]:
    """Return the outcomes of all rows from those of the calls.

    Args:
        found: the outcomes of each call, and before them the rows that they are of: one list for each set of rows that
            shared the call.
        num_rows: how many rows there are; each belongs to a call.
    """
    shared: dict[int, Outcome] = {}
    for places, outcomes in found:
        for rows in places:
            shared.update(zip(rows, outcomes, strict=True))
    return [shared[row] for row in range(num_rows)]


def _judge_mapping(given: Mapping[str, Any], num_scores: int, name: str) -> Answer:
    labels, metrics = given.get("labels"), given.get("metrics") or {}
    fault = None
    if strange := [key for key in given if key not in ("values", "labels", "metrics")]:
        fault = f"a mapping with {show(strange[0])}; write values, labels and metrics"
    elif "values" not in given:
        fault = "a mapping without values"
    elif labels is not None and (not isinstance(labels, list | tuple) or len(labels) != num_scores):
        fault = f"labels {show(labels)} for {num_scores} completions; give each its class"
    elif not isinstance(metrics, Mapping) or any(judge_value(value, "").status != "ok" for value in metrics.values()):
        fault = f"the metrics {show(metrics)}; write name: finite number"
    if fault:
        return fail(name, num_scores, "error", f"It returned {fault}.")
    return Answer(
        judge_batch(given["values"], num_scores, name),
        None if labels is None else [*labels],
        {str(key): float(judge_value(value, "").value or 0.0) for key, value in metrics.items()},
    )


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return how many outcomes there are of each status, all four of them always named."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    for outcome in outcomes:
        counts[outcome.status] += 1
    return counts


def _scalar(value: Any) -> Any:
    """Return the Python number in a scalar of NumPy or PyTorch; anything else as it is."""
    if isinstance(value, bool | int | float | str | bytes) or not callable(getattr(value, "item", None)):
        return value
    try:
        return value.item()
    except Exception:
        # An array of several elements, or an object that merely has a method of this name.
        return value


def _as_list(values: Any, num_rows: int) -> list[Any] | None:
    """Return the rows of an array or tensor of scores, or of any iterable that is neither text nor mapping.

    Of one that does not end, such as a generator, one more than is wanted: enough to see that they are too many.
    """
    if isinstance(values, str | bytes | dict | set | frozenset):
        return None
    try:
        listed = values.tolist() if callable(getattr(values, "tolist", None)) else [*islice(values, num_rows + 1)]
    except Exception:
        return None
    return listed if isinstance(listed, list) else None
