"""Requests to several servers at once: the idlest gets the next, one that fails is left out while it does.

The event loop runs in a thread of its own, so that grading and writing, between two batches, hold up no reply and let
no deadline pass; the caller sleeps in a queue, and Ctrl-C gets through.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from rlkit.errors import EngineError
from rlkit.servers.retrying import GarbledReplyError, TransientError
from rlkit.terminal import note

Request = TypeVar("Request")
Reply = TypeVar("Reply")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 15.0
_POLL_S = 0.05
"""Pause of a request for which no server is to be had just now."""
_FAILURES_IN_A_ROW = 3
"""Failures after which a server counts as down; one that cannot be reached is so at once."""
_CLOSING_S = 5.0


class BusyError(TransientError):
    """The server is alive, but takes no request just now; it may have said for how long."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class UnreachableError(TransientError):
    """There is no connection to the server, or it broke: that says nothing of the request."""


class SplitError(Exception):
    """The request must be put otherwise: in its place come others."""

    def __init__(self, requests: list[Any]) -> None:
        super().__init__()
        self.requests = requests


@dataclass
class Server:
    """One address, and how it has fared."""

    url: str
    client: Any
    outstanding: int = 0
    failures: int = 0
    """In a row, since the last good reply; those of requests that were under way together count once."""
    num_failed: int = 0
    """Requests that failed since then."""
    is_down: bool = False
    resumes: float = 0.0
    """Time from which it may be asked again."""
    reason: str = ""
    """Why the last failing request did."""

    def succeed(self) -> None:
        """Enter a good reply."""
        if self.is_down:
            note(f"The server at {self.url} replies again.")
        self.failures, self.num_failed, self.is_down = 0, 0, False

    def fail(self, error: Exception) -> None:
        """Enter a failure; the next request waits, longer each time, with a jitter that keeps many from one beat."""
        now = time.monotonic()
        is_another = now >= self.resumes
        self.failures += is_another
        self.num_failed += 1
        self.reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        is_gone = isinstance(error, UnreachableError) or self.failures >= _FAILURES_IN_A_ROW
        self._take_down(is_gone and not isinstance(error, BusyError))
        wait = min(_FIRST_WAIT_S * 2.0 ** min(self.failures - 1, 10), _LONGEST_WAIT_S) * random.uniform(0.5, 1.5)
        asked_for = getattr(error, "wait_s", 0.0)
        self.resumes = now + max(wait, asked_for) if is_another else max(self.resumes, now + asked_for)

    def _take_down(self, is_down: bool) -> None:
        if is_down and not self.is_down:
            note(f"The server at {self.url} is left out until it replies again: {self.reason}.")
        self.is_down = self.is_down or is_down


@dataclass
class _Job(Generic[Request]):
    request: Request
    num_tries: int = 0
    since: float = field(default_factory=time.monotonic)
    """When it was first taken up."""


@dataclass
class ServerPool(Generic[Request, Reply]):
    """Asks several servers; `run` gives replies as they come.

    A request that fails is tried again after the others, up to `max_tries` times; then it is given up, named at the
    end, and the others go on. Refusals of busy servers and broken connections are no tries. When every server has
    been down for `patience_s`, all is given up.
    """

    servers: list[Server]
    ask: Callable[[Server, Any], Awaitable[Any]]
    """Raises TransientError (with BusyError) and GarbledReplyError for another try, SplitError for other requests;
    whatever else it raises ends all."""
    concurrency: int
    """Requests under way at each server."""
    deadline_s: float
    """Seconds until a request is given up and counts as failed."""
    patience_s: float
    max_tries: int = 6
    _jobs: deque[_Job[Request]] = field(default_factory=deque)
    _given_up: list[tuple[Request, str]] = field(default_factory=list)
    _all_down_since: float | None = None
    _last_success: float = 0.0
    _num_running: int = 0

    def run(self, requests: Iterable[Request]) -> Iterator[list[Reply]]:
        """Yield what has come since the last time, as soon as there is anything.

        Raises:
            EngineError: every server is down for too long, or a request failed at each try, said when all else is done.
        """
        self._jobs = deque(_Job(request) for request in requests)
        replies: SimpleQueue[Any] = SimpleQueue()
        loop = asyncio.new_event_loop()
        main = loop.create_task(self._work_off(replies))
        thread = threading.Thread(target=_run_loop, args=(loop, main, replies), daemon=True)
        thread.start()
        try:
            yield from _drain(replies)
        finally:
            with contextlib.suppress(RuntimeError):
                # The loop may have ended by itself.
                loop.call_soon_threadsafe(main.cancel)
            thread.join(_CLOSING_S)

    async def _work_off(self, replies: SimpleQueue[Any]) -> None:
        num_workers = min(len(self._jobs), self.concurrency * len(self.servers))
        workers = [asyncio.create_task(self._work(replies)) for _ in range(num_workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for server in self.servers:
                await server.client.close()
        if self._given_up:
            request, reason = self._given_up[0]
            raise EngineError(
                f"{len(self._given_up)} requests were given up after {self.max_tries} tries each, the first {request}: "
                f"{reason}; the other samples are kept, and the same command tries the missing ones again."
            )

    async def _work(self, replies: SimpleQueue[Any]) -> None:
        # A job under way may fail and come back, so workers stay until none is.
        while self._jobs or self._num_running:
            if not self._jobs:
                await asyncio.sleep(_POLL_S)
                continue
            job = self._jobs.popleft()
            self._num_running += 1
            try:
                server = await self._wait_for_server()
                await self._try(job, server, replies)
            finally:
                self._num_running -= 1

    async def _try(self, job: _Job[Request], server: Server, replies: SimpleQueue[Any]) -> None:
        server.outstanding += 1
        try:
            reply = await asyncio.wait_for(self.ask(server, job.request), self.deadline_s)
        except SplitError as split:
            self._jobs.extendleft(_Job(request) for request in reversed(split.requests))
        except TimeoutError:
            late = TransientError(f"no reply within {self.deadline_s:g} seconds; allow more with deadline_s")
            self._enter_failure(job, server, late)
        except (TransientError, GarbledReplyError) as error:
            self._enter_failure(job, server, error)
        else:
            server.succeed()
            self._all_down_since, self._last_success = None, time.monotonic()
            replies.put(reply)
        finally:
            server.outstanding -= 1

    def _enter_failure(self, job: _Job[Request], server: Server, error: Exception) -> None:
        server.fail(error)
        job.num_tries += not isinstance(error, BusyError | UnreachableError)
        # What is under way ends within its deadline: who is refused longer than that waits for nobody.
        waited = time.monotonic() - max(job.since, self._last_success)
        if isinstance(error, BusyError) and waited > self.deadline_s + self.patience_s:
            raise EngineError(self._say_down())
        if job.num_tries >= self.max_tries:
            self._given_up.append((job.request, f"{server.url}: {server.reason}"))
        else:
            # Behind the others, so that a request which fails wherever it goes does not pass for a failing server.
            self._jobs.append(job)

    async def _wait_for_server(self) -> Server:
        while (server := self._pick()) is None:
            self._check_patience()
            await asyncio.sleep(_POLL_S * random.uniform(0.5, 1.5))
        return server

    def _pick(self) -> Server | None:
        """Return the live server with the fewest requests under way; one that is down gets a single one as a trial."""
        now = time.monotonic()
        free = [
            server
            for server in self.servers
            if now >= server.resumes and server.outstanding < (1 if server.is_down else self.concurrency)
        ]
        return min(free, key=lambda server: (server.is_down, server.outstanding), default=None)

    def _check_patience(self) -> None:
        now = time.monotonic()
        if not all(server.is_down for server in self.servers):
            self._all_down_since = None
            return
        if self._all_down_since is None:
            self._all_down_since = now
        if now - self._all_down_since >= self.patience_s:
            raise EngineError(self._say_down())

    def _say_down(self) -> str:
        tried = "; ".join(
            f"{each.url} ({each.num_failed} requests failed, the last: {each.reason})" for each in self.servers
        )
        return f"No server can be used any more: {tried}; see to them, and the same command goes on from what is kept."


def _run_loop(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None], replies: SimpleQueue[Any]) -> None:
    error: BaseException | None = None
    try:
        loop.run_until_complete(main)
    except BaseException as caught:
        # Whatever it is, the caller waits for it.
        error = caught
    finally:
        replies.put(_End(error))
        loop.close()


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def _drain(replies: SimpleQueue[Any]) -> Iterator[list[Any]]:
    while True:
        batch = [replies.get()]
        with contextlib.suppress(Empty):
            while True:
                batch.append(replies.get_nowait())
        end = batch.pop() if isinstance(batch[-1], _End) else None
        if batch:
            yield batch
        if end is not None:
            if end.error is not None:
                raise end.error
            return
