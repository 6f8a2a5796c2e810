"""What is scored and what was found out about it: rows of one rank going out, outcomes of all ranks coming back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from rlkit.rewards import BoundReward
from rlkit.rewards.calls import Call, share
from rlkit.rewards.failure_counts import name_counts, rates
from rlkit.rewards.outcomes import STATUSES, Outcome


@dataclass
class Rollouts:
    """What is scored: rows of this rank, or of all ranks."""

    completions: list[Any]
    prompts: list[Any]
    columns: dict[str, Any]
    """Data columns and what else TRL hands over."""
    facts: dict[str, Any]
    """What a reward can ask for by name; see `rlkit.rewards.TRAINER_COLUMNS`."""


@dataclass
class Scores:
    """What the rewards said of a batch of all ranks; the same on every rank."""

    outcomes_KB: list[list[Outcome]]
    values_BK: np.ndarray
    """NaN where a reward did not score, and in all of a row where a reward that counts failed."""
    labels_B: list[Any] | None = None
    """Class of each completion in its group, where a group reward gave it to all."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What group rewards asked to log, means over groups."""
    counts_K: Sequence[bool] = ()
    """Whether each reward counts: whether a failure of it costs the row."""

    def failed_B(self, num_rows: int) -> torch.Tensor:
        """Return which of all rows a reward that counts failed at."""
        failed_B = torch.zeros(num_rows, dtype=torch.bool)
        for counts, outcomes_B in zip(self.counts_K, self.outcomes_KB, strict=True):
            if counts:
                failed_B |= torch.tensor([given.status in ("error", "timeout") for given in outcomes_B])
        return failed_B


@dataclass
class Answer:
    """What a rank found out about one reward."""

    place: int
    rows: list[int]
    """In world order."""
    outcomes: list[Outcome]
    labels: list[Any] | None = None
    metrics: list[tuple[str, float]] = field(default_factory=list)


class Collected:
    """What is known of a batch of all ranks so far."""

    def __init__(self, bound: Sequence[BoundReward], num_rows: int) -> None:
        self._bound = bound
        self._rows_KB: list[list[Outcome | None]] = [[None] * num_rows for _ in bound]
        self._labels_KB: dict[int, list[Any]] = {}
        self._metrics: dict[str, list[float]] = {}

    def enter(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            for row, outcome in zip(answer.rows, answer.outcomes, strict=True):
                self._rows_KB[answer.place][row] = outcome
            if answer.labels is not None:
                labels_B = self._labels_KB.setdefault(answer.place, [None] * len(self._rows_KB[0]))
                for row, label in zip(answer.rows, answer.labels, strict=True):
                    labels_B[row] = label
            for name, value in answer.metrics:
                self._metrics.setdefault(f"rewards/{self._bound[answer.place].name}/{name}", []).append(value)

    def outcomes_KB(self) -> list[list[Outcome]]:
        missing = Outcome.error("It was not asked.")
        return [[outcome or missing for outcome in row_B] for row_B in self._rows_KB]

    def values_BK(self, counts_K: Sequence[bool]) -> np.ndarray:
        """Return the values so far; NaN in all of a row in which a reward that counts has failed."""
        values_BK = (
            np.array(
                [
                    [math.nan if given is None or given.value is None else given.value for given in row_B]
                    for row_B in self._rows_KB
                ]
            )
            .reshape(len(self._rows_KB), -1)
            .T
        )
        for counts, row_B in zip(counts_K, self._rows_KB, strict=True):
            if counts:
                failed_B = [given is not None and given.status in ("error", "timeout") for given in row_B]
                values_BK[failed_B] = math.nan
        return values_BK

    def close(self, counts_K: Sequence[bool]) -> Scores:
        labels = [labels_B for labels_B in self._labels_KB.values() if None not in labels_B]
        metrics = {name: float(np.mean(values)) for name, values in sorted(self._metrics.items())}
        return Scores(self.outcomes_KB(), self.values_BK(counts_K), labels[0] if labels else None, metrics, counts_K)


def count_rates(names: Sequence[str], scores: Scores) -> dict[str, float]:
    """Return the share of each status of each reward in a batch, as metrics."""
    shares: dict[str, float] = {}
    for name, outcomes_B in zip(names, scores.outcomes_KB, strict=True):
        counts = [sum(outcome.status == status for outcome in outcomes_B) for status in STATUSES]
        shares |= {f"rewards/{name}/{status}": share_ for status, share_ in rates(name_counts(counts)).items()}
    return shares


def answer(place: int, rows: list[int], calls: list[Call]) -> Answer:
    labels_B: list[Any] | None = None
    if calls and all(call.labels is not None for call in calls):
        labels_B = [None] * len(rows)
        for call in calls:
            for places in call.rows:
                for row, label in zip(places, call.labels or [], strict=True):
                    labels_B[row] = label
    metrics = [(name, value) for call in calls for _ in call.rows for name, value in call.metrics.items()]
    return Answer(place, rows, strip(share(calls, len(rows))), labels_B, metrics)


def strip(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Leave the words to the first failure: thousands of tracebacks need not travel between ranks."""
    first = next((row for row, outcome in enumerate(outcomes) if outcome.reason), None)
    return [
        outcome if row == first or not outcome.reason else replace(outcome, reason=None, traceback=None)
        for row, outcome in enumerate(outcomes)
    ]
