"""One batch of calls over the workers of a pool: who gets which call, who is late, who has died, who replaces them."""

from __future__ import annotations

import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.errors import PluginError
from rlkit.workers.process import WorkerProcess
from rlkit.workers.wire import Reply, pack

START_S = 120.0
"""Seconds in which a worker has to load its plug-in."""
_LOOK_S, _LONGEST_S = 0.2, 86400.0
"""Seconds between looks at whether to stop, and the longest wait without them."""


@dataclass(frozen=True)
class PoolSettings:
    """What a pool was asked for; see `WorkerPool`."""

    setup: Mapping[str, Any]
    num_workers: int
    deadline_s: float
    recycle_after: int


class Dispatch:
    """The calls of one `WorkerPool.map`, from the first to the last reply."""

    def __init__(
        self,
        settings: PoolSettings,
        workers: list[WorkerProcess],
        calls: Sequence[Mapping[str, Any]],
        end_at: float,
        stop: threading.Event | None = None,
        on_part: Callable[[Any], float] | None = None,
    ) -> None:
        """Take over the pool's workers; `workers` is kept up to date."""
        self._stop, self._on_part = stop, on_part
        self.settings, self.workers, self.calls, self.end_at = settings, workers, calls, end_at
        self.replies: list[Reply | None] = [None] * len(calls)
        self.refusal: Reply | None = None
        """Why no worker can be started, once that is so."""
        self._waiting = deque(range(len(calls)))
        self._selector = selectors.DefaultSelector()

    def run(self, until_ready: bool = False) -> None:
        """Run until every call has its reply, or until a worker is ready; an interruption ends those at work."""
        try:
            for worker in self.workers:
                self._watch(worker)
            self._listen(0)
            while self._waiting or any(worker.call is not None for worker in self.workers):
                self._hand_out()
                self._listen(self._patience())
                self._give_up_late()
            while until_ready and self.refusal is None and not any(worker.is_ready for worker in self.workers):
                if not self.workers:
                    self._start()
                self._listen(self._patience())
                self._give_up_late()
        except BaseException:
            for worker in [*self.workers]:
                if worker.call is not None or not worker.is_ready:
                    self._end(worker)
            raise
        finally:
            self._selector.close()

    def _hand_out(self) -> None:
        for worker in self.workers:
            if worker.is_ready and worker.call is None:
                self._give_next(worker)
        num_starting = sum(not worker.is_ready for worker in self.workers)
        while self.refusal is None and len(self.workers) < self.settings.num_workers:
            if num_starting >= len(self._waiting):
                break
            self._start()
            num_starting += 1
        if self.refusal is not None and not self.workers:
            while self._waiting:
                self.replies[self._waiting.popleft()] = self.refusal

    def _give_next(self, worker: WorkerProcess) -> None:
        while self._waiting:
            call = self._waiting.popleft()
            try:
                data = pack(dict(self.calls[call]))
            except PluginError as error:
                self.replies[call] = Reply("error", reason=str(error))
                continue
            worker.ask(call, data, self.settings.deadline_s)
            return

    def _start(self) -> None:
        try:
            worker = WorkerProcess({**self.settings.setup, "sys_path": sys.path})
        except OSError as error:
            self.refusal = Reply("error", reason=f"No worker could be started: {error}.")
            return
        worker.deadline = time.monotonic() + START_S
        self.workers.append(worker)
        self._watch(worker)

    def _watch(self, worker: WorkerProcess) -> None:
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        if not worker.is_mute:
            self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def _patience(self) -> float | None:
        """Return the seconds until the next deadline; 0 when nothing is under way, None for any time."""
        if not self.workers:
            return 0
        end = min(self.end_at, *(worker.deadline for worker in self.workers))
        most = None if self._stop is None else _LOOK_S
        return most if end == float("inf") else max(min(end - time.monotonic(), most or _LONGEST_S), 0)

    def _listen(self, timeout_s: float | None) -> None:
        for key, _ in self._selector.select(timeout_s):
            worker: WorkerProcess = key.data
            if worker not in self.workers:
                continue
            if key.fileobj is worker.output:
                worker.drain()
                if worker.is_mute:
                    self._selector.unregister(worker.output)
                continue
            try:
                messages = worker.listen()
            except EOFError:
                self._bury(worker)
                continue
            for message in messages:
                if worker in self.workers:
                    self._take(worker, message)

    def _take(self, worker: WorkerProcess, message: dict[str, Any]) -> None:
        kind, call = message["kind"], worker.call
        if kind == "ready" and not worker.is_ready:
            worker.is_ready, worker.pid, worker.deadline = True, message["pid"], float("inf")
        elif kind == "refused" and not worker.is_ready:
            self.refusal = Reply("error", reason=message["reason"], traceback=message["traceback"])
            self._end(worker)
        elif kind == "part" and call is not None and self._on_part is not None:
            worker.deadline = time.monotonic() + self._on_part(message.get("value"))
        elif kind in ("ok", "error") and call is not None:
            worker.drain()
            given = (message.get("value"), message.get("reason"), message.get("traceback"))
            self.replies[call] = Reply(kind, *given, worker.num_printed)
            worker.call, worker.deadline = None, float("inf")
            if message.get("is_spent") or worker.num_calls >= self.settings.recycle_after:
                self._end(worker)
        else:
            self._bury(worker)

    def _bury(self, worker: WorkerProcess) -> None:
        """Blame its death on the call that it was at, or on the plug-in's being loaded."""
        call = worker.call
        how = self._end(worker)
        last = worker.say_last()
        if not worker.is_ready:
            self.refusal = Reply("error", reason=f"The worker {how} while it loaded the plug-in.", traceback=last)
        elif call is not None:
            self.replies[call] = Reply(
                "error",
                reason=f"The worker {how} during the call.",
                traceback=last,
                num_printed=worker.num_printed,
                has_ended=True,
            )

    def _give_up_late(self) -> None:
        now = time.monotonic()
        is_over = now >= self.end_at or (self._stop is not None and self._stop.is_set())
        for worker in [*self.workers]:
            call = worker.call
            if not worker.is_ready and worker.deadline <= now:
                said = f"The plug-in was not loaded within {START_S:g} seconds."
                self.refusal = Reply("error", reason=said, traceback=worker.ask_where())
                self._end(worker)
            elif call is not None and (is_over or worker.deadline <= now):
                limit = f"{self.settings.deadline_s:g} seconds" if worker.deadline <= now else "the batch's deadline"
                said, num_printed = f"No answer within {limit}.", worker.num_printed
                self.replies[call] = Reply("timeout", None, said, worker.ask_where(), num_printed)
                self._end(worker)
        if is_over:
            while self._waiting:
                said = "No worker was free before the batch's deadline."
                self.replies[self._waiting.popleft()] = Reply("timeout", reason=said)

    def _end(self, worker: WorkerProcess) -> str:
        self.workers.remove(worker)
        self._selector.unregister(worker.channel)
        if not worker.is_mute:
            self._selector.unregister(worker.output)
        return worker.end()
