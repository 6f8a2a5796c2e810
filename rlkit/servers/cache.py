"""Answers kept on disk: what was asked once is never paid for twice, and every process hears the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError


def hash_question(*parts: str) -> str:
    """Return the key of a question: a digest of everything that its answer depends on."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class KeptTable:
    """A table key -> answer in an SQLite file; safe for several processes on one machine's disk, and for kill -9.

    Raises:
        ConfigError: when used: the file cannot be read or written.
    """

    name: str
    """Of the table; files may hold several."""
    column: str
    """Of the answers: its name and its type in SQLite."""
    path: str | Path = ""
    """Of the file; empty for `rlkit/judgements.sqlite` in the user's cache."""
    most: int | None = None
    """Answers kept; the oldest go first. None for all."""

    @property
    def file(self) -> Path:
        """Where answers are kept."""
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(self.path or Path(cache, "rlkit", "judgements.sqlite")).expanduser()

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the answers that are known among those of the given keys, in the order of the keys."""
        with self._open() as connection:
            return self._read(connection, keys)

    def keep(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Store answers and return those that hold: where another process was first, its answer stays."""
        column = self.column.split()[0]
        with self._open() as connection, connection:
            insert = f"INSERT OR IGNORE INTO {self.name} (key, {column}) VALUES (?, ?)"
            connection.executemany(insert, answers.items())
            held = self._read(connection, [*answers])
            if self.most is not None:
                connection.execute(
                    f"DELETE FROM {self.name} WHERE rowid <= (SELECT MAX(rowid) FROM {self.name}) - ?", (self.most,)
                )
        return held

    def _read(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Any]:
        query = f"SELECT {self.column.split()[0]} FROM {self.name} WHERE key = ?"
        rows = ((key, connection.execute(query, (key,)).fetchone()) for key in dict.fromkeys(keys))
        return {key: row[0] for key, row in rows if row is not None}

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # One connection a call: connections may not cross threads or forks, and opening costs less than any question.
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.file, timeout=60)) as connection:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {self.name} "
                    f"(id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, {self.column} NOT NULL)"
                )
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"{self.name.capitalize()} cannot be kept in {str(self.file)!r}: {error}; name another file."
            ) from error
