"""All rewards of a generation batch, on any number of ranks: run by the engine, agreed on by all, counted, never fatal.

Rows are scored where they were sampled, whole groups are shared out over the ranks, and every stage ends with one
exchange, after which all ranks know all outcomes. Nothing raises before an exchange, and what is decided after it is
decided by all ranks alike, so that no rank waits for one that has stopped.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

from rlkit.advantages.base import sum_rewards, value_before
from rlkit.errors import PluginError, say_error, trace_error
from rlkit.recipe.plan import Plan
from rlkit.rewards import TRL_OBJECTS, BoundReward
from rlkit.rewards.calls import Call, split_calls
from rlkit.rewards.engine import RewardEngine
from rlkit.rewards.failure_counts import FailureCounts, name_counts, rates
from rlkit.rewards.outcomes import STATUSES, Outcome, share
from rlkit.rewards.waiting import NoteWaiting


@dataclass
class Rollouts:
    """What is scored: rows of this rank, or of all ranks."""

    completions: list[Any]
    prompts: list[Any]
    columns: dict[str, Any]
    """Data columns and what else TRL hands over."""
    trainer_columns: dict[str, Any]
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
    first_row: int = 0
    """Where among all rows this rank's begin."""

    def failed_B(self, num_rows: int) -> torch.Tensor:
        """Return which of all rows a reward that counts failed at."""
        failed_B = torch.zeros(num_rows, dtype=torch.bool)
        for counts, outcomes_B in zip(self.counts_K, self.outcomes_KB, strict=True):
            if counts:
                failed_B |= torch.tensor([given.status in ("error", "timeout") for given in outcomes_B])
        return failed_B


@dataclass
class _Found:
    """What a rank found out about one reward."""

    place: int
    rows: list[int]
    """In world order."""
    outcomes: list[Outcome]
    labels: list[Any] | None = None
    metrics: list[tuple[str, float]] = field(default_factory=list)


class _Collected:
    """What is known of a batch of all ranks so far."""

    def __init__(self, bound: Sequence[BoundReward], num_rows: int) -> None:
        self._bound = bound
        self._rows_KB: list[list[Outcome | None]] = [[None] * num_rows for _ in bound]
        self._labels_KB: dict[int, list[Any]] = {}
        self._metrics: dict[str, list[float]] = {}

    def enter(self, found: Sequence[_Found]) -> None:
        for part in found:
            for row, outcome in zip(part.rows, part.outcomes, strict=True):
                self._rows_KB[part.place][row] = outcome
            if part.labels is not None:
                labels_B = self._labels_KB.setdefault(part.place, [None] * len(self._rows_KB[0]))
                for row, label in zip(part.rows, part.labels, strict=True):
                    labels_B[row] = label
            for name, value in part.metrics:
                self._metrics.setdefault(f"rewards/{self._bound[part.place].name}/{name}", []).append(value)

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
        # What is left of a completion's rewards when one has failed is another reward.
        for counts, row_B in zip(counts_K, self._rows_KB, strict=True):
            if counts:
                failed_B = [given is not None and given.status in ("error", "timeout") for given in row_B]
                values_BK[failed_B] = math.nan
        return values_BK

    def close(self, counts_K: Sequence[bool], first_row: int) -> Scores:
        labels = [labels_B for labels_B in self._labels_KB.values() if None not in labels_B]
        metrics = {name: float(np.mean(values)) for name, values in sorted(self._metrics.items())}
        values_BK = self.values_BK(counts_K)
        return Scores(self.outcomes_KB(), values_BK, labels[0] if labels else None, metrics, counts_K, first_row)


class RewardScorer:
    """The function rewards of one run and what runs them.

    Raises:
        PluginError: a reward that runs in processes cannot be sent to one.
    """

    def __init__(self, plan: Plan, place: tuple[int, int]) -> None:
        """Take the rewards of a run; `start` starts what they run in.

        Args:
            plan: says which rewards there are. One of weight 0, and the held-out verifier, may fail without costing a
                row.
            place: this rank, and the number of ranks.
        """
        self._sources = plan.rewards
        weights_K = [w for w, source in zip(plan.reward_weights, plan.rewards, strict=True) if _is_bound(source)]
        self.bound = [*plan.functions, *([plan.held_out] if plan.held_out else [])]
        self.roles = [reward.role for reward in self.bound]
        self.weights_K = np.asarray([*weights_K, *[0.0] * (plan.held_out is not None)], dtype=np.float64)
        self.max_error_rate = plan.max_error_rate
        self.open_book()
        self._rank, self._world_size = place
        self._engine: RewardEngine | None = None
        self._held_BK: list[list[float | None]] = []

    @property
    def names(self) -> list[str]:
        """What the rewards are called."""
        return [reward.name for reward in self.bound]

    def asks_for(self, fact: str) -> bool:
        """Return whether some reward names a fact."""
        return any(reward.asks_for(fact) for reward in self.bound)

    def open_book(self) -> None:
        """Count from here on: what went wrong in an earlier run may be mended."""
        self.book = FailureCounts()

    def start(self) -> None:
        """Load what runs in processes; a collective, which raises on all ranks what one of them found.

        Raises:
            PluginError: a reward cannot be loaded.
        """
        said = [""]
        try:
            self._running().start()
        except PluginError as error:
            said = [str(error)]
        for sentence in gather_object(said) if self._world_size > 1 else said:
            if sentence:
                self.close()
                raise PluginError(sentence)

    def close(self) -> None:
        """End every process and loop; scoring again starts them again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def score(self, here: Rollouts, num_generations: int) -> Scores:
        """Return what all rewards say of all ranks' rows; a collective."""
        counts = gather_object([len(here.completions)]) if self._world_size > 1 else [len(here.completions)]
        first = sum(counts[: self._rank])
        world = self._gather(here) if any(reward.form == "group" for reward in self.bound) else here
        scored = _Collected(self.bound, sum(counts))
        for stage in self._stages():
            given = self._value_for(stage, scored)
            mine = self._score_stage(stage, here, world, given, first, num_generations)
            for found in self._exchange(mine):
                scored.enter(found)
        for name, outcomes_B in zip(self.names, scored.outcomes_KB(), strict=True):
            self.book.add(name, outcomes_B)
        return scored.close(self._counts_K(), first)

    def in_trls_form(self) -> list[Any]:
        """Return the rewards for TRL: models as they are, functions as readers of what was scored before TRL asks."""
        columns = iter(range(len(self.bound)))
        return [self._reader(next(columns)) if _is_bound(source) else source for source in self._sources]

    @contextlib.contextmanager
    def holding(self, scores: Scores, num_rows: int) -> Iterator[None]:
        """Have the readers say, inside the block, what was scored of this rank's rows.

        TRL calls rewards itself, sums and logs what they return; this is how it comes to the scores.
        """
        mine_BK = scores.values_BK[scores.first_row : scores.first_row + num_rows]
        self._held_BK = [[None if math.isnan(value) else float(value) for value in row_K] for row_K in mine_BK]
        try:
            yield
        finally:
            self._held_BK = []

    def _reader(self, column: int) -> Callable[..., list[float | None]]:
        def read(completions: list[Any], **_: Any) -> list[float | None]:
            return [row_K[column] for row_K in self._held_BK]

        read.__name__ = self.names[column]
        return read

    def stop_if_failing(self) -> None:
        """Stop the run where a reward fails too often; every rank comes to the same.

        Raises:
            RewardError: with what the first failure said, and where.
        """
        self.book.stop_if_failing(self.names, self.book.counts(self.names), self.max_error_rate)

    def _running(self) -> RewardEngine:
        if self._engine is None:
            self._engine = RewardEngine(self.bound)
        return self._engine

    def _counts_K(self) -> list[bool]:
        return [bool(weight) for weight in self.weights_K]

    def _stages(self) -> list[list[int]]:
        """Return the rewards that can be asked together; one that needs what others said comes after them."""
        later = [
            k for k, reward in enumerate(self.bound) if reward.role == "modifier" or reward.asks_for("base_rewards")
        ]
        # A base that asks comes before the modifiers, a penalty that asks after them.
        order = sorted(later, key=lambda k: ("base", "modifier", "penalty").index(self.roles[k]))
        return [[k for k in range(len(self.bound)) if k not in later], *([k] for k in order)]

    def _value_for(self, stage: Sequence[int], scored: _Collected) -> list[float | None] | None:
        """Return the value so far of each row, (B,), for the one reward of a later stage."""
        if len(stage) != 1 or not self.bound[stage[0]].asks_for("base_rewards"):
            return None
        place, values_BK = stage[0], scored.values_BK(self._counts_K())
        if self.roles[place] == "base":
            earlier = [k for k in range(place) if self.roles[k] == "base"]
            values_B = sum_rewards(values_BK[:, earlier], self.weights_K[earlier])
        else:
            end = place if self.roles[place] == "modifier" else len(self.bound)
            values_B = value_before(values_BK, self.weights_K, self.roles, end)
        return [None if math.isnan(value) else float(value) for value in values_B]

    def _score_stage(
        self,
        stage: Sequence[int],
        here: Rollouts,
        world: Rollouts,
        given: list[float | None] | None,
        first: int,
        num_generations: int,
    ) -> list[_Found]:
        """Return what this rank found out; whatever goes wrong becomes outcomes."""
        num_rows, num_world = len(here.completions), len(world.completions)
        more = {} if given is None else {"base_rewards": given}
        more_here = {} if given is None else {"base_rewards": given[first : first + num_rows]}
        groups = [row // num_generations for row in range(num_world)]
        mine = [row for row in range(num_world) if groups[row] % self._world_size == self._rank]
        rows_K = [
            (mine if self.bound[k].form == "group" else [*range(first, first + num_rows)]) if k in stage else []
            for k in range(len(self.bound))
        ]
        try:
            calls_K = [
                _split(reward, world, more, rows, groups)
                if reward.form == "group" and rows
                else split_calls(reward, here.completions, here.prompts, here.columns, here.trainer_columns | more_here)
                if rows
                else []
                for reward, rows in zip(self.bound, rows_K, strict=True)
            ]
            self._running().run(calls_K)
            return [_sum_up(k, rows_K[k], calls_K[k]) for k in stage if rows_K[k]]
        except Exception as error:
            failed = Outcome.error(say_error(error), trace_error(error))
            return [_Found(k, rows_K[k], _strip([failed] * len(rows_K[k]))) for k in stage if rows_K[k]]

    def _exchange(self, mine: list[_Found]) -> list[list[_Found]]:
        """Return what each rank found out."""
        if self._world_size == 1:
            return [mine]
        with NoteWaiting(lambda: ["the rewards of other ranks"]):
            return list(gather_object([mine]))

    def _gather(self, here: Rollouts) -> Rollouts:
        """Return the rows of all ranks with what the group rewards ask for."""
        grouped = [reward for reward in self.bound if reward.form == "group"]
        local = {key: here.columns[key] for key in TRL_OBJECTS if key in here.columns}
        columns = {key: value for key, value in here.columns.items() if key not in (*TRL_OBJECTS, "completion_ids")}
        trainer_columns = {
            key: value for key, value in here.trainer_columns.items() if any(reward.asks_for(key) for reward in grouped)
        }
        if self._world_size > 1:
            columns = {key: gather_object(list(value)) for key, value in sorted(columns.items())}
            trainer_columns = {
                key: gather_object(value) if isinstance(value, list) else value
                for key, value in sorted(trainer_columns.items())
            }
            return Rollouts(
                gather_object(here.completions), gather_object(here.prompts), columns | local, trainer_columns
            )
        return Rollouts(here.completions, here.prompts, columns | local, trainer_columns)


def _split(
    reward: BoundReward, world: Rollouts, more: Mapping[str, Any], rows: Sequence[int], groups: Sequence[int]
) -> list[Call]:
    """Return the calls of a group reward for some of all rows."""

    def take(values: Any) -> Any:
        return [values[row] for row in rows] if isinstance(values, list | tuple) else values

    columns = {key: value if key in TRL_OBJECTS else take(value) for key, value in world.columns.items()}
    trainer_columns = {key: take(value) for key, value in {**world.trainer_columns, **more}.items()}
    return split_calls(reward, take(world.completions), take(world.prompts), columns, trainer_columns, take(groups))


def _is_bound(source: Any) -> bool:
    return isinstance(source, BoundReward)


def count_rates(names: Sequence[str], scores: Scores) -> dict[str, float]:
    """Return the share of each status of each reward in a batch, as metrics."""
    shares: dict[str, float] = {}
    for name, outcomes_B in zip(names, scores.outcomes_KB, strict=True):
        counts = [sum(outcome.status == status for outcome in outcomes_B) for status in STATUSES]
        shares |= {f"rewards/{name}/{status}": share_ for status, share_ in rates(name_counts(counts)).items()}
    return shares


def _sum_up(place: int, rows: list[int], calls: list[Call]) -> _Found:
    labels_B: list[Any] | None = None
    if calls and all(call.labels is not None for call in calls):
        labels_B = [None] * len(rows)
        for call in calls:
            for places in call.rows:
                for row, label in zip(places, call.labels or [], strict=True):
                    labels_B[row] = label
    metrics = [(name, value) for call in calls for _ in call.rows for name, value in call.metrics.items()]
    outcomes_B = share([(call.rows, call.outcomes) for call in calls], len(rows))
    return _Found(place, rows, _strip(outcomes_B), labels_B, metrics)


def _strip(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Leave the words to the first failure: thousands of tracebacks need not travel between ranks."""
    # A NaN that was taken for None has a reason too, but is no failure.
    first = next((row for row, outcome in enumerate(outcomes) if outcome.status in ("error", "timeout")), None)
    return [
        outcome if row == first or not outcome.reason else replace(outcome, reason=None, traceback=None)
        for row, outcome in enumerate(outcomes)
    ]
