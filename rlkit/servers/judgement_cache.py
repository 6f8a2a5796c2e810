"""Judgements kept on disk: what was asked once is never paid for twice, and every process hears the same answer."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rlkit.errors import ConfigError


def default_cache() -> Path:
    """Return where judgements are kept unless something else is said: `rlkit/judgements.sqlite` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rlkit" / "judgements.sqlite"


def hash_question(*parts: str) -> str:
    """Return the key of a question: a digest of everything that its answer depends on."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class JudgementCache:
    """A table question key -> verdict in an SQLite file; safe for several processes on one machine's disk."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it with its folder; raises ConfigError when it cannot be."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS judgements (key TEXT PRIMARY KEY, same INTEGER NOT NULL)"
                )
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"Judgements cannot be kept in {str(path)!r}: {error}; name another file.") from error

    def find(self, keys: Sequence[str]) -> dict[str, bool]:
        """Return the verdicts that are known among those of the given keys."""
        with closing(self._open()) as connection:
            rows = (connection.execute("SELECT key, same FROM judgements WHERE key = ?", (key,)) for key in set(keys))
            return {key: bool(same) for found in rows for key, same in found}

    def keep(self, verdicts: dict[str, bool]) -> dict[str, bool]:
        """Store verdicts and return those that hold: where another process was first, its verdict stays."""
        with closing(self._open()) as connection, connection:
            connection.executemany("INSERT OR IGNORE INTO judgements VALUES (?, ?)", verdicts.items())
        return self.find([*verdicts])

    def _open(self) -> sqlite3.Connection:
        # One connection a call: connections may not cross threads or forks, and opening costs less than any question.
        return sqlite3.connect(self.path, timeout=60)
