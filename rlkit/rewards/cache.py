"""Scores kept on disk: what a plug-in said of the same inputs in an earlier batch or run is not computed again."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from rlkit.rewards.outcomes import Outcome
from rlkit.terminal import note

_MOST_SCORES = 1_000_000
"""Scores kept; about 100 MB. The oldest go first."""


def default_path() -> Path:
    """Return where scores are kept: `rlkit/rewards.sqlite` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rlkit" / "rewards.sqlite"


class ScoreCache:
    """A table key -> score in an SQLite file; safe for several processes on one machine's disk, and for kill -9.

    A file that cannot be read or written costs the savings, never the run: one line says so, and nothing is cached.
    """

    def __init__(self, path: Path | None = None, most_scores: int = _MOST_SCORES) -> None:
        """Name the file; it is opened when it is first used."""
        self.path, self.most_scores = path or default_path(), most_scores
        self._is_usable = True

    def find(self, keys: Sequence[str]) -> dict[str, list[Outcome]]:
        """Return what is known: the outcomes of one call, by its key."""
        found: dict[str, list[Outcome]] = {}
        if not self._is_usable:
            return found
        try:
            with closing(self._open()) as connection:
                for key in dict.fromkeys(keys):
                    row = connection.execute("SELECT scores FROM scores WHERE key = ?", (key,)).fetchone()
                    if row is not None:
                        found[key] = _read(row[0])
        except (OSError, sqlite3.Error, ValueError) as error:
            self._give_up(error)
        return found

    def keep(self, outcomes: Mapping[str, Sequence[Outcome]]) -> None:
        """Store the outcomes of calls in which every one is `ok` or `abstain`; failures are tried again."""
        rows = [(key, _write(given)) for key, given in outcomes.items() if _is_settled(given)]
        if not rows or not self._is_usable:
            return
        try:
            with closing(self._open()) as connection, connection:
                connection.executemany("INSERT OR IGNORE INTO scores (key, scores) VALUES (?, ?)", rows)
                connection.execute(
                    "DELETE FROM scores WHERE id <= (SELECT MAX(id) FROM scores) - ?", (self.most_scores,)
                )
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _open(self) -> sqlite3.Connection:
        # One connection a call: connections may not cross threads or forks.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=30)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS scores (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, scores TEXT NOT NULL)"
        )
        return connection

    def _give_up(self, error: Exception) -> None:
        self._is_usable = False
        note(f"Scores are not cached: {str(self.path)!r} cannot be used ({error}); delete it, or mend its folder.")


def _is_settled(outcomes: Sequence[Outcome]) -> bool:
    return all(outcome.status in ("ok", "abstain") for outcome in outcomes)


def _write(outcomes: Sequence[Outcome]) -> str:
    return " ".join("-" if outcome.value is None else outcome.value.hex() for outcome in outcomes)


def _read(text: str) -> list[Outcome]:
    return [Outcome.abstain() if word == "-" else Outcome.ok(float.fromhex(word)) for word in text.split()]
