"""All rewards of a batch, run side by side, each with an outcome for every row and no way to end the run.

    with RewardEngine([bind_reward(spec) for spec in recipe.rewards]) as engine:
        outcomes_KB = engine.score(completions, prompts, {"target": targets})

Rewards in processes run in their workers while inline ones run one after another on the caller's thread: threads would
break verifiers that use signals, and gain nothing under the interpreter's lock. Then, as in TRL, async rewards run all
at once in the program's event loop.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import traceback
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, RewardError, say_error, trace_error
from rlkit.rewards.async_calls import AsyncRun, EventLoop
from rlkit.rewards.bound_reward import BoundReward, digest_reward
from rlkit.rewards.cache import ScoreCache
from rlkit.rewards.calls import Call, Invoke, split_calls
from rlkit.rewards.guard import Notices, end_copy
from rlkit.rewards.outcomes import Answer, Outcome, fail, judge, share
from rlkit.rewards.waiting import QUIET_S, NoteWaiting
from rlkit.terminal import note
from rlkit.workers.pool import WorkerPool

_LOOK_S = 0.1
"""Seconds between looks at who is done, in which Ctrl-C gets through."""
_STOP_S = 10.0
"""Seconds that workers get to end after an interruption."""


class RewardEngine:
    """Runs rewards. One batch at a time; a plug-in's fault never raises here but becomes an outcome.

    Raises:
        ConfigError: a reward without source asks for a cache.
        PluginError: a reward for a process cannot be sent to one.
    """

    def __init__(
        self,
        bound: Sequence[BoundReward],
        *,
        batch_deadline_s: float | None = None,
        cache_path: Path | None = None,
        quiet_s: float = QUIET_S,
    ) -> None:
        """Check the rewards; processes start with the first batch, or with `start`.

        Args:
            bound: the rewards, in the order of the outcomes.
            batch_deadline_s: seconds after which what is not done of a batch is a timeout, inline calls that have begun
                excepted; None for no end beside that of each call.
            cache_path: file of cached scores; None for the user's own.
            quiet_s: seconds after which a line says what is waited for.
        """
        self.bound = tuple(bound)
        self._batch_deadline_s, self._quiet_s = batch_deadline_s, quiet_s
        self._cache = ScoreCache(cache_path)
        self._sources = [digest_reward(reward) if reward.run.cache else None for reward in self.bound]
        for reward, source in zip(self.bound, self._sources, strict=True):
            if reward.run.cache and source is None:
                raise ConfigError(
                    f"The reward {reward.name} cannot be cached: neither source file nor parameters say what it does."
                )
        self._pools = {
            place: WorkerPool(
                Invoke(reward.function),
                num_workers=reward.run.num_workers,
                deadline_s=reward.run.limit_s,
                memory_mb=reward.run.memory_mb,
            )
            for place, reward in enumerate(self.bound)
            if reward.run.isolation == "process"
        }
        self._notices = Notices(note)

    def __enter__(self) -> RewardEngine:
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """End workers."""
        self.close()

    def start(self) -> None:
        """Load every plug-in that runs in processes, so that what cannot be loaded is found at the door.

        Raises:
            PluginError: one cannot be loaded.
        """
        for pool in self._pools.values():
            pool.start()

    def close(self) -> None:
        """End workers; the engine is done with. The event loop is the program's, and stays."""
        for pool in self._pools.values():
            pool.close()

    def score(
        self,
        completions: Sequence[Any],
        prompts: Sequence[Any],
        columns: Mapping[str, Any],
        groups: Sequence[Hashable] | None = None,
    ) -> list[list[Outcome]]:
        """Return the outcomes of each reward for each row, (K, B).

        Args:
            completions: B completions.
            prompts: B prompts.
            columns: data columns, each a list of B values; what is no list is the same for all rows.
            groups: B labels; rows with the same label are completions of one prompt. Group rewards need them.

        Raises:
            RewardError: the inputs do not fit each other; it is raised before anything is run.
        """
        _check_lengths(len(completions), {"prompts": prompts, "groups": groups, **columns})
        calls_K = [split_calls(reward, completions, prompts, columns, groups=groups) for reward in self.bound]
        self.run(calls_K)
        num_rows = len(completions)
        return [share([(call.rows, call.outcomes) for call in calls], num_rows) for calls in calls_K]

    def run(self, calls_K: Sequence[list[Call]]) -> None:
        """Find out what becomes of the calls of each reward, none for one that is not asked; fills in `outcomes`."""
        end_at = time.monotonic() + (self._batch_deadline_s or float("inf"))
        self._look_up(calls_K)

        def waiting_for() -> list[str]:
            return [reward.name for reward, calls in zip(self.bound, calls_K, strict=True) if _open(calls)]

        with NoteWaiting(waiting_for, self._quiet_s):
            self._run([_open(calls) for calls in calls_K], end_at)
        self._keep(calls_K)
        for reward, calls in zip(self.bound, calls_K, strict=True):
            if nans := [given.reason for call in calls for given in call.outcomes if given.status == "abstain"]:
                self._notices.say_once(reward.name, next(filter(None, nans), None))

    def _run(self, calls_K: list[list[Call]], end_at: float) -> None:
        asked = {place: calls for place, calls in enumerate(calls_K) if calls}
        is_done = {place: threading.Event() for place in asked}
        stop = threading.Event()
        threads: list[threading.Thread] = []
        runs: dict[int, AsyncRun] = {}
        stack = ExitStack()
        try:
            for place, pool in self._pools.items():
                if place in asked:
                    given = (self.bound[place], asked[place], is_done[place], pool, end_at, stop)
                    threads.append(threading.Thread(target=_run_in_processes, args=given, daemon=True))
                    threads[-1].start()
            for place, calls in asked.items():
                if self.bound[place].run.isolation == "inline":
                    self._call_here(self.bound[place], calls, end_at)
                    is_done[place].set()
            # After the inline ones, as in TRL: a coroutine may read what a plain function has left behind.
            awaited = [place for place in asked if self.bound[place].run.isolation == "async"]
            calls = [call for place in awaited for call in asked[place]]
            stack.enter_context(self._guard([self.bound[place] for place in awaited], calls))
            runs = {place: AsyncRun(self.bound[place], asked[place], end_at) for place in awaited}
            for run in runs.values():
                run.start()
            while waiting := [done for done in is_done.values() if not done.is_set()]:
                _collect(runs, is_done)
                # Until one is done, or there is something to look at.
                waiting[0].wait(_LOOK_S if not runs else _LOOK_S / 10)
        except BaseException:
            stop.set()
            if runs:
                EventLoop.shared().abandon()
            for thread in threads:
                thread.join(_STOP_S)
            raise
        finally:
            stack.close()

    def _call_here(self, bound: BoundReward, calls: Sequence[Call], end_at: float) -> None:
        owner = os.getpid()
        with self._guard([bound], calls):
            for call in calls:
                try:
                    call.enter(_ask(bound, call, end_at))
                finally:
                    end_copy(bound.name, owner)

    def _guard(self, rewards: Sequence[BoundReward], calls: Sequence[Call]) -> AbstractContextManager[None]:
        """Return what keeps rewards from changing the program behind its back."""
        names = ", ".join(reward.name for reward in rewards)
        return self._notices.put_back(names, _salt(calls)) if rewards else nullcontext()

    def _look_up(self, calls_K: Sequence[list[Call]]) -> None:
        for calls, source in zip(calls_K, self._sources, strict=True):
            if source is not None:
                found = self._cache.find([_key(source, call) for call in calls if call.key])
                for call in calls:
                    call.outcomes = found.get(_key(source, call), []) if call.key else []

    def _keep(self, calls_K: Sequence[list[Call]]) -> None:
        for calls, source in zip(calls_K, self._sources, strict=True):
            if source is not None:
                self._cache.keep({_key(source, call): call.outcomes for call in calls if call.key})


def _open(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if not call.outcomes]


def _salt(calls: Sequence[Call]) -> str:
    """Return what tells these calls from those of other batches, the same in a run that is continued."""
    digest = hashlib.sha256()
    for call in calls:
        digest.update((call.key or repr(call.args or call.kwargs["completions"])).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _collect(runs: dict[int, AsyncRun], is_done: Mapping[int, threading.Event]) -> None:
    """Take over what async rewards have done; give up on a loop that one of them blocks, and go on in another."""
    for place, run in runs.items():
        if is_done[place].is_set():
            continue
        is_lost = not run.finished.is_set() and run.watch()
        if is_lost or run.finished.is_set():
            run.settle()
            is_done[place].set()
        if is_lost:
            run.loop.abandon()
            for other in [other for other in runs if not is_done[other].is_set()]:
                runs[other].is_given_up = True
                runs[other] = AsyncRun(runs[other].bound, runs[other].calls, runs[other].end_at)
                runs[other].start()
            return


def _run_in_processes(
    bound: BoundReward,
    calls: list[Call],
    is_done: threading.Event,
    pool: WorkerPool,
    end_at: float,
    stop: threading.Event,
) -> None:
    try:
        replies = pool.map([{"args": call.args, "kwargs": call.kwargs} for call in calls], end_at=end_at, stop=stop)
        for call, reply in zip(calls, replies, strict=True):
            if reply.status == "ok":
                call.enter(judge(reply.value, bound.form, call.num_scores, bound.name))
            else:
                said = (reply.status, reply.reason or "", reply.traceback)
                call.enter(fail(bound.name, call.num_scores, *said))
    except Exception as error:
        for call in calls:
            said = ("error", f"The pool failed: {error}", traceback.format_exc())
            call.enter(fail(bound.name, call.num_scores, *said))
    is_done.set()


def _ask(bound: BoundReward, call: Call, end_at: float) -> Answer:
    if time.monotonic() >= end_at:
        return fail(bound.name, call.num_scores, "timeout", "It was not called before the batch's deadline.")
    try:
        value = bound.function(*call.args, **call.kwargs)
    except (Exception, SystemExit) as error:
        return fail(bound.name, call.num_scores, "error", say_error(error), trace_error(error))
    return judge(value, bound.form, call.num_scores, bound.name)


def _key(source: str, call: Call) -> str:
    return hashlib.sha256(f"{source} {call.key}".encode()).hexdigest()


def _check_lengths(num_rows: int, columns: Mapping[str, Any]) -> None:
    for name, column in columns.items():
        if isinstance(column, list | tuple) and len(column) != num_rows:
            raise RewardError(
                f"{num_rows} completions were given with {len(column)} values of {name}; give one for each."
            )
