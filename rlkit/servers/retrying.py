"""Servers that judge: ask again while they may recover, and give up with a sentence, never with a verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from rlkit.errors import ConfigError, RewardError

Reply = TypeVar("Reply")

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0
_GARBLED_ATTEMPTS = 3
BUSY_STATUSES = (408, 425, 429)
"""Refusals of a server that will pass; other statuses 4xx are for the user to mend."""


def read_key(variable: str | None) -> str | None:
    """Return the value of an environment variable; raises ConfigError when one is named that is not set."""
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise ConfigError(f"The environment variable {variable!r}, named as api_key_variable, is not set; export it.")
    return os.environ[variable]


class TransientError(Exception):
    """The server could not be reached, was busy or failed; it may do better soon."""


class GarbledReplyError(Exception):
    """The server replied with something that cannot be a judgement; more of the same is likely."""


def call_until(
    deadline_s: float,
    action: Callable[[float], Reply],
    server: str,
    mend: str = "see to the server, or allow more with deadline_s",
) -> Reply:
    """Return what the action returns, called again with growing pauses while it fails transiently.

    Args:
        deadline_s: seconds from the first attempt to giving up.
        action: called with the seconds left, its timeout.
        server: how the message calls the server.
        mend: what the message tells the user to do.

    Raises:
        RewardError: the deadline has passed, or three replies were garbled. Whatever else the action raises passes.
    """
    end, wait, garbled = time.monotonic() + deadline_s, _FIRST_WAIT_S, 0
    reason: Exception
    while True:
        try:
            return action(max(end - time.monotonic(), 0.001))
        except GarbledReplyError as error:
            reason, garbled = error, garbled + 1
            if garbled == _GARBLED_ATTEMPTS:
                raise RewardError(f"{server} replied with what is no judgement: {reason}.") from error
        except TransientError as error:
            reason = error
        if end - time.monotonic() <= wait:
            raise RewardError(
                f"{server} gave no usable reply within {deadline_s:g} seconds: {reason}; {mend}."
            ) from reason
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_S)
