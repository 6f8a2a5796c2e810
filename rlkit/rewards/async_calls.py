"""Async rewards: many questions at a time to something else, in an event loop that nothing can hold up for good."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from rlkit.errors import say_error, trace_error
from rlkit.rewards.bound_reward import BoundReward
from rlkit.rewards.calls import Call
from rlkit.rewards.guard import end_copy
from rlkit.rewards.outcomes import Answer, fail, judge
from rlkit.servers.faults import pause_after

_STUCK_S = 1.0
"""Seconds by which a coroutine may hold up the loop past its deadline, and then those to react to an interruption."""
_BEAT_S = 0.1
"""Seconds between signs of life of the loop."""
_POLITE_S, _INTERRUPTIONS = 0.05, 20
"""Seconds that a loop gets to stop by itself, and how often it is then interrupted."""
_MEND = "await instead, or write a plain function with isolation: process"


class _Interruption(BaseException):
    """Thrown into a coroutine that has held up the loop past its deadline."""


class _HeldUpError(Exception):
    """What becomes of it."""


class EventLoop:
    """A loop on a daemon thread; a coroutine that blocks it is interrupted, and a loop that cannot be is replaced."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._started: set[asyncio.Task[None]] = set()
        self._tasks: weakref.WeakKeyDictionary[asyncio.Task[Any], AsyncRun] = weakref.WeakKeyDictionary()

    @classmethod
    @functools.cache
    def shared(cls) -> EventLoop:
        """Return the one loop of the program: clients and locks that rewards keep belong to the loop they met first."""
        return cls()

    def enter(self, run: AsyncRun) -> None:
        """Note that the task which runs now is of a run."""
        if (task := asyncio.current_task()) is not None:
            self._tasks[task] = run

    def holder(self) -> AsyncRun | None:
        """Return the run whose coroutine has its turn now, where that is known; asked from another thread."""
        task = None if self._loop is None else asyncio.current_task(self._loop)
        return None if task is None else self._tasks.get(task)

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> threading.Event:
        """Begin a piece of work and return the event that says it is done."""
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            self._loop = asyncio.new_event_loop()
            # What a call that was given up does later is nobody's business any more.
            self._loop.set_exception_handler(lambda *_: None)
            self._thread = threading.Thread(target=_turn, args=(self._loop,), name="async rewards", daemon=True)
            self._thread.start()
        done = threading.Event()

        async def finish() -> None:
            try:
                await work()
            finally:
                done.set()

        def begin() -> None:
            # In the loop's own turn: where it is given up before, nothing is left that nobody awaits.
            task = asyncio.ensure_future(finish())
            self._started.add(task)
            task.add_done_callback(self._started.discard)

        self._loop.call_soon_threadsafe(begin)
        return done

    def interrupt(self) -> None:
        """Throw an exception into what runs now; Python code ends at its next line, C code when it returns."""
        if self._thread is not None and self._thread.ident is not None:
            thread, error = ctypes.c_ulong(self._thread.ident), ctypes.py_object(_Interruption)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, error)

    def abandon(self) -> None:
        """Stop the loop, interrupt what will not stop, and forget it; the next start makes another."""
        if self._thread is None or self._loop is None:
            return
        if not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_cancel_all, self._loop)
        self._thread.join(_POLITE_S)
        for _ in range(_INTERRUPTIONS):
            if self._thread.is_alive():
                self.interrupt()
                self._thread.join(_POLITE_S)
        self._thread = self._loop = None


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    except _Interruption:
        # It came just after the coroutine for which it was meant.
        pass
    finally:
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.call_soon(loop.stop)


class AsyncRun:
    """All calls of one async reward in one batch."""

    def __init__(self, bound: BoundReward, calls: Sequence[Call], end_at: float) -> None:
        """Take what is to be called."""
        self.bound, self.calls, self.end_at = bound, [call for call in calls if not call.outcomes], end_at
        self.loop = EventLoop.shared()
        self.finished = threading.Event()
        self._owner = os.getpid()
        self.last_sign = time.monotonic()
        """When the loop last showed that it is not blocked."""
        self.is_given_up = False
        self._next_start = self._last_look = self._interrupted_at = 0.0
        self._watched_since: float | None = None
        self._held_s = 0.0
        """Seconds in which the loop could not turn."""

    async def run(self) -> None:
        """Call everything, so many at a time."""
        waiting = iter(self.calls)

        async def work() -> None:
            for call in waiting:
                answer = await self._call(call)
                if self.is_given_up:
                    return
                call.enter(answer)

        beat = asyncio.ensure_future(self._beat())
        num_workers = min(self.bound.run.max_concurrency, len(self.calls))
        await asyncio.gather(*(work() for _ in range(num_workers)))
        beat.cancel()

    def start(self) -> threading.Event:
        """Begin, and return the event that says it is done."""
        self.finished = self.loop.start(self.run)
        return self.finished

    def watch(self) -> bool:
        """Look after the loop, every now and then; return whether it has to be given up.

        A coroutine that has held it up for longer than its deadline, or past the end of the batch, is interrupted. Only
        the time in which somebody looks counts: an inline reward may have held the interpreter's lock before.
        """
        if self.loop.holder() not in (None, self):
            # Another reward's turn, and its deadline: ours are put off meanwhile.
            return False
        now = time.monotonic()
        if self._watched_since is None or now - self._last_look > 1.0:
            self._watched_since = now
        self._last_look = now
        silent_s = now - max(self.last_sign, self._watched_since, self._interrupted_at)
        is_due = silent_s > min(self.bound.limit_s, max(self.end_at - self._watched_since, 0)) + _STUCK_S
        if is_due and self._interrupted_at <= self.last_sign:
            self._interrupted_at = now
            self.loop.interrupt()
            return False
        return self._interrupted_at > self.last_sign and now - self._interrupted_at > _STUCK_S

    def settle(self) -> None:
        """Give up on what is not done: a timeout."""
        self.is_given_up = True
        for call in self.calls:
            said = f"A coroutine held up the event loop; {_MEND}."
            if not call.outcomes:
                call.enter(self._fail(call, "timeout", said))

    async def _beat(self) -> None:
        while True:
            self.last_sign = time.monotonic()
            await asyncio.sleep(_BEAT_S)
            late_s = time.monotonic() - self.last_sign - _BEAT_S
            self._held_s += late_s if late_s > _BEAT_S else 0.0

    async def _call(self, call: Call) -> Answer:
        limit = self.bound.limit_s
        await self._keep_rate(self.end_at)
        if time.monotonic() >= self.end_at:
            return self._fail(call, "timeout", "It was not asked before the batch's deadline.")
        end, failure, attempt = min(time.monotonic() + limit, self.end_at), "", 0
        where: str | None = None
        while True:
            task = asyncio.ensure_future(self._invoke(call))
            end = await self._wait(task, end)
            if not task.done():
                task.cancel()
                task.add_done_callback(_forget)
                late = f"No answer within {limit:g} seconds{f', after {failure}' if failure else ''}."
                return self._fail(call, "timeout", late, where)
            if task.cancelled():
                failure, where = "CancelledError", None
            elif (error := task.exception()) is None:
                return judge(task.result(), self.bound.form, call.num_scores, self.bound.name)
            elif isinstance(error, _HeldUpError):
                late = f"It held up the event loop for more than {limit:g} seconds; {_MEND}."
                return self._fail(call, "timeout", late, trace_error(error.__cause__ or error))
            else:
                failure, where = say_error(error), trace_error(error)
            attempt += 1
            pause = pause_after(attempt)
            if attempt > self.bound.run.retries or time.monotonic() + pause >= end:
                tries = f" ({attempt} attempts)" if attempt > 1 else ""
                return self._fail(call, "error", f"{failure}{tries}.", where)
            await asyncio.sleep(pause)
            await self._keep_rate(end)

    def _fail(self, call: Call, status: str, reason: str, where: str | None = None) -> Answer:
        return fail(self.bound.name, call.num_scores, status, reason, where)

    async def _wait(self, task: asyncio.Task[Any], end: float) -> float:
        """Wait for a task and return its deadline, put off by as long as the loop was held up by others."""
        while True:
            held_s = self._held_s
            # Not `wait_for`, which waits for a coroutine that will not be cancelled.
            await asyncio.wait({task}, timeout=None if end == float("inf") else max(end - time.monotonic(), 0))
            if task.done() or self._held_s == held_s:
                return end
            end = min(end + self._held_s - held_s, max(end, self.end_at))

    async def _invoke(self, call: Call) -> Any:
        if self.is_given_up:
            return None
        self.loop.enter(self)
        try:
            return await self.bound.function(*call.args, **call.kwargs)
        except _Interruption as error:
            raise _HeldUpError from error
        except (SystemExit, KeyboardInterrupt) as error:
            # These would end the loop, and every other call with it.
            raise RuntimeError(f"it raised {type(error).__name__}") from error
        finally:
            end_copy(self.bound.name, self._owner)

    async def _keep_rate(self, end: float) -> None:
        rate, now = self.bound.run.rate_per_s, time.monotonic()
        if rate is not None:
            start = max(self._next_start, now)
            self._next_start = start + 1 / rate
            await asyncio.sleep(min(start, end) - now)


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
