"""A line for the user when rewards keep a step waiting, that says which."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from rlkit.terminal import note

QUIET_S = 5.0
"""Seconds of a batch before the first line; the next comes after twice as long, and so on."""


class NoteWaiting:
    """Notes on what is not done yet, for as long as a `with` block lasts."""

    def __init__(self, waiting_for: Callable[[], Sequence[str]], quiet_s: float = QUIET_S) -> None:
        """Take what names the rewards that are not done."""
        self._waiting_for, self._quiet_s = waiting_for, quiet_s
        self._done = threading.Event()

    def __enter__(self) -> NoteWaiting:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="reward progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Fall silent."""
        self._done.set()

    def _watch(self) -> None:
        started, pause = time.monotonic(), self._quiet_s
        while not self._done.wait(pause):
            names = self._waiting_for()
            if names:
                note(f"Scoring has taken {time.monotonic() - started:.0f} seconds; waiting for {', '.join(names)}.")
            pause *= 2
