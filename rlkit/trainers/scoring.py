"""All rewards of a generation batch, on any number of ranks: run by the engine, agreed on by all, counted, never fatal.

Rows are scored where they were sampled, whole groups are shared out over the ranks, and every stage ends with one
exchange, after which all ranks know all outcomes. Nothing raises before an exchange, and what is decided after it is
decided by all ranks alike, so that no rank waits for one that has stopped.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from accelerate.utils import gather_object

from rlkit.errors import PluginError
from rlkit.rewards import TRL_OBJECTS, BoundReward, bind_reward, name_rewards
from rlkit.rewards.calls import Call, split_calls
from rlkit.rewards.composition import sum_rewards, value_before
from rlkit.rewards.engine import RewardEngine
from rlkit.rewards.failure_counts import FailureCounts
from rlkit.rewards.outcomes import Outcome
from rlkit.rewards.waiting import NoteWaiting
from rlkit.trainers.scored import Answer, Collected, Rollouts, Scores, answer, strip


class RewardScorer:
    """The function rewards of one run and what runs them.

    Raises:
        ConfigError: settings of a reward do not fit.
        PluginError: a reward that runs in processes cannot be loaded there.
    """

    def __init__(
        self, functions: Sequence[Any], weights_K: Sequence[float], max_error_rate: float, place: tuple[int, int]
    ) -> None:
        """Bind the rewards; `start` starts what they run in.

        Args:
            functions: rewards in any form.
            weights_K: a reward of weight 0 may fail without costing a row.
            max_error_rate: share of errors and timeouts above which the run stops.
            place: this rank, and the number of ranks.
        """
        names = name_rewards(functions)
        self.bound = [replace(bind_reward(f), name=name) for f, name in zip(functions, names, strict=True)]
        self.roles = [reward.role for reward in self.bound]
        self.weights_K = np.asarray(weights_K, dtype=np.float64)
        self.max_error_rate = max_error_rate
        self.open_book()
        self._rank, self._world_size = place
        self._engine: RewardEngine | None = None

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

    def score(self, here: Rollouts, num_generations: int) -> tuple[Scores, int]:
        """Return what all rewards say of all ranks' rows, and where among them this rank's begin; a collective."""
        counts = gather_object([len(here.completions)]) if self._world_size > 1 else [len(here.completions)]
        first = sum(counts[: self._rank])
        world = self._gather(here) if any(reward.form == "group" for reward in self.bound) else here
        scored = Collected(self.bound, sum(counts))
        for stage in self._stages():
            given = self._value_for(stage, scored)
            mine = self._score_stage(stage, here, world, given, first, num_generations)
            for answers in self._exchange(mine):
                scored.enter(answers)
        for name, outcomes_B in zip(self.names, scored.outcomes_KB(), strict=True):
            self.book.add(name, outcomes_B)
        return scored.close(self._counts_K()), first

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

    def _value_for(self, stage: Sequence[int], scored: Collected) -> list[float | None] | None:
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
    ) -> list[Answer]:
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
                else split_calls(reward, here.completions, here.prompts, here.columns, here.facts | more_here)
                if rows
                else []
                for reward, rows in zip(self.bound, rows_K, strict=True)
            ]
            self._running().run(calls_K)
            return [answer(k, rows_K[k], calls_K[k]) for k in stage if rows_K[k]]
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            failed = Outcome.error(said, traceback.format_exc()[-8000:])
            return [Answer(k, rows_K[k], strip([failed] * len(rows_K[k]))) for k in stage if rows_K[k]]

    def _exchange(self, mine: list[Answer]) -> list[list[Answer]]:
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
        facts = {key: value for key, value in here.facts.items() if any(reward.asks_for(key) for reward in grouped)}
        if self._world_size > 1:
            columns = {key: gather_object(list(value)) for key, value in sorted(columns.items())}
            facts = {
                key: gather_object(value) if isinstance(value, list) else value for key, value in sorted(facts.items())
            }
            return Rollouts(gather_object(here.completions), gather_object(here.prompts), columns | local, facts)
        return Rollouts(here.completions, here.prompts, columns | local, facts)


def _split(
    reward: BoundReward, world: Rollouts, more: Mapping[str, Any], rows: Sequence[int], groups: Sequence[int]
) -> list[Call]:
    """Return the calls of a group reward for some of all rows."""

    def take(values: Any) -> Any:
        return [values[row] for row in rows] if isinstance(values, list | tuple) else values

    columns = {key: value if key in TRL_OBJECTS else take(value) for key, value in world.columns.items()}
    facts = {key: take(value) for key, value in {**world.facts, **more}.items()}
    return split_calls(reward, take(world.completions), take(world.prompts), columns, facts, take(groups))
