"""How a server has fared: when it may be asked again, and whether it is left out until it replies."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rlkit.servers.endpoint import Endpoint
from rlkit.servers.faults import BusyError, UnreachableError, pause_after, say_shortly
from rlkit.terminal import note

_FAILURES_IN_A_ROW = 3
"""Failures after which a server counts as down; one that cannot be reached is so at once."""


@dataclass
class Server:
    """One address, and how it has fared."""

    endpoint: Endpoint
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

    @property
    def url(self) -> str:
        """Its address."""
        return self.endpoint.url

    def succeed(self) -> None:
        """Enter a good reply."""
        if self.is_down:
            note(f"The server at {self.url} replies again.")
        self.failures, self.num_failed, self.is_down = 0, 0, False

    def fail(self, error: Exception) -> None:
        """Enter a failure; the next request waits, longer each time."""
        now = time.monotonic()
        is_another = now >= self.resumes
        self.failures += is_another
        self.num_failed += 1
        self.reason = say_shortly(error)
        is_gone = isinstance(error, UnreachableError) or self.failures >= _FAILURES_IN_A_ROW
        self._take_down(is_gone and not isinstance(error, BusyError))
        asked_for = error.wait_s if isinstance(error, BusyError) else 0.0
        wait = pause_after(self.failures)
        self.resumes = now + max(wait, asked_for) if is_another else max(self.resumes, now + asked_for)

    def _take_down(self, is_down: bool) -> None:
        if is_down and not self.is_down:
            note(f"The server at {self.url} is left out until it replies again: {self.reason}.")
        self.is_down = self.is_down or is_down
