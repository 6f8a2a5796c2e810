"""Where the time of a step goes."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from typing import Any


class Stopwatch:
    """Adds up the time of watched functions, each without the watched functions that it calls."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._spent_inside = [0.0]

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Replace the attribute `name` of an object or class by one that counts its time towards `part`."""
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._spent_inside.append(0.0)
            start = time.perf_counter()
            try:
                return plain(*args, **kwargs)
            finally:
                took = time.perf_counter() - start
                self._seconds[part] += took - self._spent_inside.pop()
                self._spent_inside[-1] += took

        setattr(owner, name, timed)

    def take(self) -> dict[str, float]:
        """Return the seconds of each part since they were last taken."""
        seconds = dict(self._seconds)
        self._seconds.clear()
        return seconds
