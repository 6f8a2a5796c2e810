"""What can go wrong with a server, and how long to wait before it is asked again."""

from __future__ import annotations

import random
from typing import Any

BUSY_STATUSES = (408, 425, 429, 503)
"""Refusals of a server that is alive, which will pass; other statuses 4xx are for the user to mend."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0
_OWN = random.Random()
"""Pauses take nothing from the random numbers of a run."""


class TransientError(Exception):
    """The server was silent, busy or failed; it may do better soon."""


class BusyError(TransientError):
    """The server is alive, but takes no request just now; it may have said for how long."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class UnreachableError(TransientError):
    """There is no connection to the server, or it broke: that says nothing of the request."""


class GarbledReplyError(Exception):
    """The server replied with something that cannot be an answer; more of the same is likely."""


class RefusedError(Exception):
    """The server will not do what it was asked, whenever it is asked."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"status {status}: {said}")
        self.status, self.said = status, said


class SplitError(Exception):
    """The request must be put otherwise: in its place come others."""

    def __init__(self, requests: list[Any]) -> None:
        super().__init__()
        self.requests = requests


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row: longer each time, with a jitter that parts many."""
    return min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 10), _LONGEST_WAIT_S) * _OWN.uniform(0.5, 1.5)


def say_shortly(error: BaseException) -> str:
    """Return the innermost reason on one line, as `All connection attempts failed` helps nobody."""
    while inner := error.__cause__ or error.__context__:
        error = inner.exceptions[-1] if isinstance(inner, BaseExceptionGroup) else inner
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
