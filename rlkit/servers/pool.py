"""Requests to servers, several at a time: the idlest gets the next, one that fails is left out while it does."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rlkit.errors import EngineError
from rlkit.servers.background import Put, stream
from rlkit.servers.endpoint import Endpoint
from rlkit.servers.faults import BusyError, GarbledReplyError, SplitError, TransientError, UnreachableError
from rlkit.servers.health import Server

Request = TypeVar("Request")
Reply = TypeVar("Reply")

_POLL_S = 0.05
"""Pause of a request for which no server is to be had just now."""


@dataclass(frozen=True)
class Patience:
    """How long a pool waits, for what, and what ends it."""

    try_s: float
    """Seconds until a try counts as failed."""
    request_s: float = math.inf
    """Seconds from a request's first try until it is given up."""
    down_s: float = math.inf
    """Seconds in which every server is down until all is given up."""
    max_tries: float = math.inf
    """Failures after which a request is given up; refusals of busy servers and broken connections are none."""
    max_garbled: float = math.inf
    """Replies that are none after which it is."""
    ends_at_first: bool = False
    """Whether a request that is given up ends all, rather than to be named when the others are done."""


class GivenUpError(Exception):
    """A request was given up."""

    def __init__(self, request: Any, url: str, reason: Exception | str) -> None:
        super().__init__(f"{request}: {url}: {reason}")
        self.request, self.url, self.reason = request, url, reason


@dataclass
class _Job(Generic[Request]):
    request: Request
    since: float | None = None
    """When it was first taken up."""
    num_tries: int = 0
    num_garbled: int = 0


@dataclass
class ServerPool(Generic[Request, Reply]):
    """Asks servers; `run` gives replies as they come. A request that fails is tried again, after the others."""

    servers: list[Server]
    ask: Callable[[Endpoint, Any], Awaitable[Any]]
    """Raises what `rlkit.servers.faults` holds, SplitError for other requests in its place; whatever else ends all."""
    concurrency: int
    """Requests under way at each server."""
    patience: Patience
    quiet_s: float | None = None
    """Seconds without a reply after which `say_quiet` is called."""
    say_quiet: Callable[[], None] = lambda: None
    _jobs: deque[_Job[Request]] = field(default_factory=deque)
    _given_up: list[GivenUpError] = field(default_factory=list)
    _all_down_since: float | None = None
    _last_success: float = 0.0
    _num_running: int = 0

    def run(self, requests: Iterable[Request]) -> Iterator[list[Reply]]:
        """Yield what has come since the last time, as soon as there is anything.

        Raises:
            EngineError: every server is down for too long, or requests were given up, said when all else is done.
            GivenUpError: the first was, where that ends all.
        """
        self._jobs = deque(_Job(request) for request in requests)
        yield from stream(self._work_off, self.quiet_s, self.say_quiet)

    async def _work_off(self, put: Put) -> None:
        num_workers = min(len(self._jobs), self.concurrency * len(self.servers))
        workers = [asyncio.create_task(self._work(put)) for _ in range(num_workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for server in self.servers:
                await server.endpoint.close()
        if self._given_up:
            first = self._given_up[0]
            raise EngineError(
                f"{len(self._given_up)} requests were given up after {self.patience.max_tries:g} tries each, the first "
                f"{first}; the other samples are kept, and the same command tries the missing ones again."
            )

    async def _work(self, put: Put) -> None:
        # A job under way may fail and come back, so workers stay until none is.
        while self._jobs or self._num_running:
            if not self._jobs:
                await asyncio.sleep(_POLL_S)
                continue
            job = self._jobs.popleft()
            self._num_running += 1
            try:
                await self._try(job, await self._wait_for_server(job), put)
            finally:
                self._num_running -= 1

    async def _try(self, job: _Job[Request], server: Server, put: Put) -> None:
        server.outstanding += 1
        try:
            reply = await asyncio.wait_for(self.ask(server.endpoint, job.request), self._seconds_left(job))
        except SplitError as split:
            self._jobs.extendleft(_Job(request) for request in reversed(split.requests))
        except TimeoutError:
            late = TransientError(f"no reply within {self.patience.try_s:g} seconds, its deadline_s")
            self._enter_failure(job, server, late)
        except (TransientError, GarbledReplyError) as error:
            self._enter_failure(job, server, error)
        else:
            server.succeed()
            self._all_down_since, self._last_success = None, time.monotonic()
            put(reply)
        finally:
            server.outstanding -= 1

    def _seconds_left(self, job: _Job[Request]) -> float:
        waited = time.monotonic() - (job.since or 0.0)
        # Nobody can wait for some centuries.
        return min(max(min(self.patience.try_s, self.patience.request_s - waited), 0.0), 1e9)

    def _enter_failure(self, job: _Job[Request], server: Server, error: Exception) -> None:
        server.fail(error)
        job.num_tries += not isinstance(error, BusyError | UnreachableError)
        job.num_garbled += isinstance(error, GarbledReplyError)
        limits = self.patience
        # What is under way ends within its deadline: who is refused longer than that waits for nobody.
        waited = time.monotonic() - max(job.since or 0.0, self._last_success)
        if isinstance(error, BusyError) and waited > limits.try_s + limits.down_s:
            raise EngineError(self._say_down())
        is_late = self._seconds_left(job) <= 0
        if is_late or job.num_tries >= limits.max_tries or job.num_garbled >= limits.max_garbled:
            self._give_up(job, server, error)
        else:
            # Behind the others, so that a request which fails wherever it goes does not pass for a failing server.
            self._jobs.append(job)

    def _give_up(self, job: _Job[Request], server: Server, reason: Exception | str) -> None:
        given_up = GivenUpError(job.request, server.url, reason)
        if self.patience.ends_at_first:
            raise given_up
        self._given_up.append(given_up)

    async def _wait_for_server(self, job: _Job[Request]) -> Server:
        job.since = job.since or time.monotonic()
        while (server := self._pick()) is None:
            self._check_patience(job)
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

    def _check_patience(self, job: _Job[Request]) -> None:
        now = time.monotonic()
        if self._seconds_left(job) <= 0:
            raise GivenUpError(job.request, self.servers[0].url, self.servers[0].reason)
        if not all(server.is_down for server in self.servers):
            self._all_down_since = None
            return
        if self._all_down_since is None:
            self._all_down_since = now
        if now - self._all_down_since >= self.patience.down_s:
            raise EngineError(self._say_down())

    def _say_down(self) -> str:
        tried = "; ".join(
            f"{each.url} ({each.num_failed} requests failed, the last: {each.reason})" for each in self.servers
        )
        return f"No server can be used any more: {tried}; see to them, and the same command goes on from what is kept."
