"""Many questions to one server: several at a time, dropped at the first failure, and never in the way of Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from rlkit.errors import RewardError
from rlkit.servers.retrying import call_until
from rlkit.terminal import note

Question = TypeVar("Question")
Reply = TypeVar("Reply")

PROBE_S = 15.0
"""Longest wait for the first sign of life, in seconds: an address with a typing error should not cost five minutes."""
_QUIET_S = 10.0
"""Seconds without a reply after which the user is told what is waited for."""
_REPEAT_S = 60.0
"""Seconds from one such note to the next; each of a step's prompts may wait."""
_GRACE_S = 1.0
"""Seconds by which a question may outlast its deadline to say what went wrong."""

_reached: set[str] = set()
_noted: dict[str, float] = {}


@dataclass(frozen=True)
class _Outcome(Generic[Reply]):
    """What became of a question: a reply, or an error."""

    place: int
    reply: Reply | None = None
    error: BaseException | None = None


def reach(server: str, deadline_s: float, probe: Callable[[float], Any]) -> None:
    """Ask a server for a sign of life, once a process.

    Args:
        server: how the message calls it, with its address.
        deadline_s: seconds the user grants a question; a probe gets at most 15 of them.
        probe: called with the seconds left, again and again while it raises TransientError; any return is life.

    Raises:
        RewardError: no sign of life in time.
    """
    if server in _reached:
        return
    limit = min(deadline_s, PROBE_S)
    mend = "start the server, or mend its address"
    ask_each(lambda probe: call_until(limit, probe, server, mend), [probe], 1, limit, server)
    _reached.add(server)


def ask_each(
    ask: Callable[[Question], Reply], questions: Sequence[Question], concurrency: int, deadline_s: float, server: str
) -> list[Reply]:
    """Return the reply to each question, in their order.

    The first error ends it: what was not asked yet is dropped, and what is under way is not waited for. Threads are
    daemons, and the caller sleeps in a queue, so that Ctrl-C gets through at once and the process can end.

    Args:
        ask: called in several threads; it keeps to the deadline by itself, where the network lets it.
        questions: what it is called with.
        concurrency: questions under way at a time.
        deadline_s: seconds of silence, from the start or the last reply, after which all is given up.
        server: how messages call who is asked.

    Raises:
        RewardError: silence. Whatever `ask` raises passes.
    """
    todo: SimpleQueue[tuple[int, Question]] = SimpleQueue()
    done: SimpleQueue[_Outcome[Reply]] = SimpleQueue()
    for item in enumerate(questions):
        todo.put(item)
    for _ in range(min(concurrency, len(questions))):
        threading.Thread(target=_work, args=(ask, todo, done), daemon=True).start()
    replies: dict[int, Any] = {}
    try:
        while len(replies) < len(questions):
            outcome = _wait(done, deadline_s, server)
            if outcome.error is not None:
                raise outcome.error
            replies[outcome.place] = outcome.reply
    finally:
        _drop(todo)
    return [replies[place] for place in range(len(questions))]


def _work(
    ask: Callable[[Question], Reply], todo: SimpleQueue[tuple[int, Question]], done: SimpleQueue[_Outcome[Reply]]
) -> None:
    while True:
        try:
            place, question = todo.get_nowait()
        except Empty:
            return
        try:
            done.put(_Outcome(place, reply=ask(question)))
        except BaseException as error:
            # Whatever it is, the caller waits for it.
            done.put(_Outcome(place, error=error))
            _drop(todo)


def _drop(todo: SimpleQueue[Any]) -> None:
    while not todo.empty():
        try:
            todo.get_nowait()
        except Empty:
            return


def _wait(done: SimpleQueue[_Outcome[Reply]], deadline_s: float, server: str) -> _Outcome[Reply]:
    limit = deadline_s + _GRACE_S
    try:
        return done.get(timeout=min(_QUIET_S, limit))
    except Empty:
        if limit > _QUIET_S:
            _say_waiting(server, deadline_s)
    try:
        # A timeout of more than some centuries is an error of its own.
        return done.get(timeout=min(max(limit - _QUIET_S, 0), threading.TIMEOUT_MAX))
    except Empty:
        raise RewardError(
            f"{server} has been silent for {deadline_s:g} seconds; see to the server, or allow more with deadline_s."
        ) from None


def _say_waiting(server: str, deadline_s: float) -> None:
    now = time.monotonic()
    if now - _noted.get(server, -_REPEAT_S) >= _REPEAT_S:
        _noted[server] = now
        note(f"{server} has not replied for {_QUIET_S:g} seconds; the run waits up to {deadline_s:g}.")
