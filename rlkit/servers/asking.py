"""Questions to one server that must all be answered: several at a time, in order, and given up at the first failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rlkit.errors import RewardError
from rlkit.servers.background import Put, stream
from rlkit.servers.endpoint import Endpoint
from rlkit.servers.faults import GarbledReplyError, TransientError, pause_after, say_shortly
from rlkit.servers.health import Server
from rlkit.servers.pool import GivenUpError, Patience, ServerPool
from rlkit.terminal import note

Question = TypeVar("Question")
Reply = TypeVar("Reply")

PROBE_S = 15.0
"""Longest wait for the first sign of life, in seconds: an address with a typing error should not cost five minutes."""
_QUIET_S = 10.0
"""Seconds without a reply after which the user is told what is waited for."""
_REPEAT_S = 60.0
"""Seconds from one such note to the next; each of a step's prompts may wait."""
_MOST_GARBLED = 3

_reached: set[str] = set()
_noted: dict[str, float] = {}


@dataclass(frozen=True)
class Respondent:
    """A server that judges, and how long it has for a question."""

    name: str
    """How messages call it, such as `The judge at http://...`."""
    url: str
    key: str | None
    life: str
    """The path at which any reply is a sign of life."""
    deadline_s: float
    """Seconds from the first attempt of a question to giving up."""
    concurrency: int
    """Questions under way at a time."""


def ask_each(
    ask: Callable[[Endpoint, Question], Awaitable[Reply]], questions: Sequence[Question], whom: Respondent
) -> list[Reply]:
    """Return the reply to each question, in their order; the first that is given up ends it, and the rest is dropped.

    Args:
        ask: called in an event loop; a failure that may pass is tried again until the deadline.
        questions: what it is called with.
        whom: the server; it is asked for a sign of life first, once a process.

    Raises:
        RewardError: no sign of life, or a question without usable reply. Whatever else `ask` raises passes.
    """
    if questions and whom.name not in _reached:
        _reach(whom)

    async def ask_one(endpoint: Endpoint, numbered: tuple[int, Question]) -> tuple[int, Reply]:
        return numbered[0], await ask(endpoint, numbered[1])

    pool: ServerPool[tuple[int, Question], tuple[int, Reply]] = ServerPool(
        [Server(Endpoint(whom.url, whom.key))],
        ask_one,
        whom.concurrency,
        Patience(whom.deadline_s, whom.deadline_s, max_garbled=_MOST_GARBLED, ends_at_first=True),
        _QUIET_S,
        lambda: _say_waiting(whom),
    )
    try:
        replies = dict(numbered for batch in pool.run(enumerate(questions)) for numbered in batch)
    except GivenUpError as error:
        if isinstance(error.reason, GarbledReplyError):
            raise RewardError(f"{whom.name} replied with what is no judgement: {error.reason}.") from error
        mend = "see to the server, or allow more with deadline_s"
        raise RewardError(_say_silent(whom.name, whom.deadline_s, str(error.reason), mend)) from error
    return [replies[place] for place in range(len(questions))]


def find_silence(urls: Sequence[str], key: str | None, life: str, limit_s: float) -> list[str | None]:
    """Return for each address why it gives no sign of life within so many seconds; None where it does."""

    async def probe_all(put: Put) -> None:
        put(await asyncio.gather(*(_probe(Endpoint(url, key), life, limit_s) for url in urls)))

    ((reasons,),) = stream(probe_all)
    return list(reasons)


async def _probe(endpoint: Endpoint, life: str, limit_s: float) -> str | None:
    from tenacity import AsyncRetrying, retry_if_exception_type, stop_before_delay

    again = AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        wait=lambda state: pause_after(state.attempt_number),
        stop=stop_before_delay(limit_s),
        reraise=True,
    )
    try:
        await asyncio.wait_for(again(endpoint.touch, life), limit_s)
    except (TransientError, TimeoutError) as error:
        return say_shortly(error)
    finally:
        await endpoint.close()
    return None


def _reach(whom: Respondent) -> None:
    limit_s = min(whom.deadline_s, PROBE_S)
    (reason,) = find_silence([whom.url], whom.key, whom.life, limit_s)
    if reason is not None:
        raise RewardError(_say_silent(whom.name, limit_s, reason, "start the server, or mend its address"))
    _reached.add(whom.name)


def _say_silent(name: str, seconds: float, reason: Any, mend: str) -> str:
    return f"{name} gave no usable reply within {seconds:g} seconds: {reason}; {mend}."


def _say_waiting(whom: Respondent) -> None:
    now = time.monotonic()
    if now - _noted.get(whom.name, -_REPEAT_S) >= _REPEAT_S:
        _noted[whom.name] = now
        note(f"{whom.name} has not replied for {_QUIET_S:g} seconds; the run waits up to {whom.deadline_s:g}.")
