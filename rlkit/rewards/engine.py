"""All rewards of a batch, run side by side, each with an outcome for every row and no way to end the run.

    with RewardEngine([bind_reward(spec) for spec in recipe.rewards]) as engine:
        outcomes_KB = engine.score(completions, prompts, {"target": targets})

Async rewards run in an event loop and those in processes in their workers, both while inline rewards run one after
another on the caller's thread: threads would break verifiers that use signals, and gain nothing under the interpreter's
lock.
"""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, RewardError
from rlkit.rewards.async_calls import AsyncRun, EventLoop
from rlkit.rewards.bound_reward import BoundReward, digest_reward
from rlkit.rewards.cache import ScoreCache
from rlkit.rewards.calls import Call, Invoke, fail, judge, share, split_calls
from rlkit.rewards.outcomes import Outcome
from rlkit.rewards.waiting import QUIET_S, NoteWaiting
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
        shared_loop: EventLoop | None = None,
    ) -> None:
        """Check the rewards; processes start with the first batch, or with `start`.

        Args:
            bound: the rewards, in the order of the outcomes.
            batch_deadline_s: seconds after which what is not done of a batch is a timeout, inline calls that have begun
                excepted; None for no end beside that of each call.
            cache_path: file of cached scores; None for the user's own.
            quiet_s: seconds after which a line says what is waited for.
            shared_loop: where async functions in TRL's form run, so that what they hold (a session, a lock) outlives
                this engine, as under TRL; None makes one. Others have a loop each, and cannot hold each other up.
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
        shared = shared_loop or EventLoop()
        self._loops = {
            place: shared if reward.form == "batch" else EventLoop()
            for place, reward in enumerate(self.bound)
            if reward.run.isolation == "async"
        }
        self._kept_loop = shared_loop

    def __enter__(self) -> RewardEngine:
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """End workers and loop."""
        self.close()

    def start(self) -> None:
        """Load every plug-in that runs in processes, so that what cannot be loaded is found at the door.

        Raises:
            PluginError: one cannot be loaded.
        """
        for pool in self._pools.values():
            pool.start()

    def close(self) -> None:
        """End workers and loop; the engine is done with."""
        for pool in self._pools.values():
            pool.close()
        for loop in self._loops.values():
            if loop is not self._kept_loop:
                loop.abandon()

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
        return [share(calls, len(completions)) for calls in calls_K]

    def run(self, calls_K: Sequence[list[Call]]) -> None:
        """Find out what becomes of the calls of each reward, none for one that is not asked; fills in `outcomes`."""
        end_at = time.monotonic() + (self._batch_deadline_s or float("inf"))
        self._look_up(calls_K)

        def waiting_for() -> list[str]:
            return [reward.name for reward, calls in zip(self.bound, calls_K, strict=True) if _open(calls)]

        with NoteWaiting(waiting_for, self._quiet_s):
            self._run([_open(calls) for calls in calls_K], end_at)
        self._keep(calls_K)

    def _run(self, calls_K: list[list[Call]], end_at: float) -> None:
        asked = {place: calls for place, calls in enumerate(calls_K) if calls}
        is_done = {place: threading.Event() for place in asked}
        stop = threading.Event()
        threads: list[threading.Thread] = []
        try:
            runs = [
                (is_done[place], run := AsyncRun(self.bound[place], asked[place], end_at), loop, loop.start(run.run()))
                for place, loop in self._loops.items()
                if place in asked
            ]
            for place, pool in self._pools.items():
                if place in asked:
                    given = (self.bound[place], asked[place], is_done[place], pool, end_at, stop)
                    threads.append(threading.Thread(target=_run_in_processes, args=given, daemon=True))
                    threads[-1].start()
            for place, calls in asked.items():
                if self.bound[place].run.isolation == "inline":
                    for call in calls:
                        call.outcomes = _call_here(self.bound[place], call, end_at)
                    is_done[place].set()
            while waiting := [done for done in is_done.values() if not done.is_set()]:
                _collect(runs)
                # Until one is done, or there is something to look at.
                waiting[0].wait(_LOOK_S if not runs else _LOOK_S / 10)
        except BaseException:
            stop.set()
            for loop in self._loops.values():
                loop.abandon()
            for thread in threads:
                thread.join(_STOP_S)
            raise

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


def _collect(runs: list[tuple[threading.Event, AsyncRun, EventLoop, threading.Event]]) -> None:
    """Take over what async rewards have done; give up on a loop that is blocked."""
    for is_done, run, loop, finished in runs:
        if is_done.is_set():
            continue
        is_lost = not finished.is_set() and run.watch(loop)
        if is_lost:
            loop.abandon()
        if is_lost or finished.is_set():
            run.settle()
            is_done.set()


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
                call.outcomes = judge(bound, call, reply.value)
            else:
                call.outcomes = fail(bound, call, reply.status, reply.reason or "", reply.traceback)
    except Exception as error:
        for call in calls:
            call.outcomes = fail(bound, call, "error", f"The pool failed: {error}", traceback.format_exc())
    is_done.set()


def _call_here(bound: BoundReward, call: Call, end_at: float) -> list[Outcome]:
    if time.monotonic() >= end_at:
        return fail(bound, call, "timeout", "It was not called before the batch's deadline.")
    try:
        return judge(bound, call, bound.function(*call.args, **call.kwargs))
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:300]
        calls = error.__traceback__ and error.__traceback__.tb_next
        where = "".join(traceback.format_exception(type(error), error, calls))
        return fail(bound, call, "error", f"{type(error).__name__}{f': {said}' if said else ''}", where[-8000:])


def _key(source: str, call: Call) -> str:
    return hashlib.sha256(f"{source} {call.key}".encode()).hexdigest()


def _check_lengths(num_rows: int, columns: Mapping[str, Any]) -> None:
    for name, column in columns.items():
        if isinstance(column, list | tuple) and len(column) != num_rows:
            raise RewardError(
                f"{num_rows} completions were given with {len(column)} values of {name}; give one for each."
            )
