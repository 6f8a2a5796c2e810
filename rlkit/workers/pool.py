"""A pool of processes that call one plug-in and cannot hang, lie or lose a batch.

    with WorkerPool("rewards/mine.py:score", num_workers=4, deadline_s=5) as pool:
        replies = pool.map([{"completion": text} for text in texts])

A call that overruns is ended by killing its worker, never by merely not waiting for it, and the worker is replaced: the
pool is as strong after thirty timeouts as before. Only that call is lost.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.errors import PluginError
from rlkit.parameters import check_count, check_number
from rlkit.workers.dispatch import Dispatch, PoolSettings
from rlkit.workers.process import WorkerProcess
from rlkit.workers.wire import Reply, pack


class WorkerPool:
    """Processes that call one function; started by the first `map`, kept warm, ended with the program at the latest.

    Usable from any thread. One `map` runs at a time; others wait for it.

    Raises:
        ConfigError: a parameter is out of range.
        PluginError: the function cannot be sent to another process.
    """

    def __init__(
        self,
        function: str | Callable[..., Any],
        *,
        num_workers: int = 2,
        deadline_s: float = 10.0,
        memory_mb: int | None = 2048,
        recycle_after: int = 1000,
        preload: Sequence[str] = (),
    ) -> None:
        """Check the parameters; no process is started yet.

        Args:
            function: `"package.module:name"`, `"file.py:name"`, or something callable that can be pickled.
            num_workers: processes at most; never more than calls.
            deadline_s: seconds that one call may take from when a worker gets it.
            memory_mb: MiB of writable memory of one process with everything it loads; None for no limit.
            recycle_after: calls after which a process is replaced, so that what plug-ins leak does not add up.
            preload: modules to import before the function is loaded.
        """
        check_count("WorkerPool", "num_workers", num_workers)
        check_number("WorkerPool", "deadline_s", deadline_s, above=0)
        check_count("WorkerPool", "recycle_after", recycle_after)
        if memory_mb is not None:
            check_count("WorkerPool", "memory_mb", memory_mb, smallest=64)
        setup = {
            "target": _absolute(function) if isinstance(function, str) else None,
            "function": None if isinstance(function, str) else pack(function),
            "memory_bytes": None if memory_mb is None else memory_mb * 2**20,
            "preload": list(preload),
        }
        self._settings = PoolSettings(setup, num_workers, deadline_s, recycle_after)
        self._workers: list[WorkerProcess] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()
        # Runs at exit too. It must not hold the pool itself.
        self.close = weakref.finalize(self, _end_all, self._workers, self._owner)

    def __enter__(self) -> WorkerPool:
        """Return the pool."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers."""
        self.close()

    def start(self) -> None:
        """Start one worker and have it load the function, so that what cannot be loaded is found at the door.

        Raises:
            PluginError: the function cannot be loaded in a worker.
        """
        dispatch = self._run([], float("inf"), until_ready=True)
        if dispatch.refusal is not None:
            raise PluginError(f"A worker cannot load the reward: {dispatch.refusal.reason}")

    def map(
        self,
        calls: Sequence[Mapping[str, Any]],
        *,
        end_at: float = float("inf"),
        stop: threading.Event | None = None,
        on_part: Callable[[Any], float] | None = None,
    ) -> list[Reply]:
        """Call the function once for each mapping of keyword arguments and return the replies in their order.

        Nothing that a plug-in does raises here: it may raise, exit, crash, hang, print, fork, or exhaust its memory.

        Args:
            calls: keyword arguments; whatever can be pickled.
            end_at: when, in seconds of `time.monotonic`, all that is not done is given up as a timeout.
            stop: another thread's way to say that all is given up now.
            on_part: takes what a function tells by `wire.tell` while its call goes on, and returns the seconds that it
                has from then on; without it, whoever tells is ended.

        Raises:
            PluginError: the pool has been closed.
        """
        replies = self._run(calls, end_at, stop, on_part=on_part).replies
        assert None not in replies, "every call has its reply when a dispatch ends"
        return [reply for reply in replies if reply is not None]

    def _run(
        self,
        calls: Sequence[Mapping[str, Any]],
        end_at: float,
        stop: threading.Event | None = None,
        until_ready: bool = False,
        on_part: Callable[[Any], float] | None = None,
    ) -> Dispatch:
        with self._lock:
            if not self.close.alive:
                raise PluginError("This pool of workers has been closed; make a new one.")
            if self._owner != os.getpid():
                self._start_anew()
            dispatch = Dispatch(self._settings, self._workers, calls, end_at, stop, on_part)
            dispatch.run(until_ready)
        return dispatch

    def _start_anew(self) -> None:
        """In a forked copy of the program, leave the workers to the original."""
        for worker in self._workers:
            worker.let_go()
        self._workers, self._owner = [], os.getpid()
        self.close.detach()
        self.close = weakref.finalize(self, _end_all, self._workers, self._owner)


def _absolute(target: str) -> str:
    """Return a target whose file is found from any folder."""
    location, _, name = target.rpartition(":")
    if not location:
        raise PluginError(f"A worker was given {target!r} to call; write file.py:name or package.module:name.")
    return f"{Path(location).expanduser().resolve()}:{name}" if location.endswith(".py") else target


def _end_all(workers: list[WorkerProcess], owner: int) -> None:
    if os.getpid() != owner:
        return
    for worker in workers:
        worker.end()
    workers.clear()
