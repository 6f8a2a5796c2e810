"""Scores kept on disk: what a plug-in said of the same inputs in an earlier batch or run is not computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlkit.errors import ConfigError
from rlkit.rewards.outcomes import Outcome
from rlkit.servers.cache import KeptTable
from rlkit.terminal import note

_MOST_SCORES = 1_000_000
"""Scores kept; about 100 MB. The oldest go first."""


class ScoreCache:
    """The outcomes of calls by their keys.

    A file that cannot be read or written costs the savings, never the run: one line says so, and nothing is cached.
    """

    def __init__(self, path: Path | None = None, most_scores: int = _MOST_SCORES) -> None:
        """Name the file; None for the user's own. It is opened when it is first used."""
        self.table = KeptTable("scores", "scores TEXT", path or "", most_scores)
        self._is_usable = True

    def find(self, keys: Sequence[str]) -> dict[str, list[Outcome]]:
        """Return what is known: the outcomes of one call, by its key."""
        try:
            found = self.table.find(keys) if self._is_usable else {}
            return {key: _read(scores) for key, scores in found.items()}
        except (ConfigError, ValueError) as error:
            return self._give_up(error)

    def keep(self, outcomes: Mapping[str, Sequence[Outcome]]) -> None:
        """Store the outcomes of calls in which every one is `ok` or `abstain`; failures are tried again."""
        rows = {key: _write(given) for key, given in outcomes.items() if _is_settled(given)}
        if not rows or not self._is_usable:
            return
        try:
            self.table.keep(rows)
        except ConfigError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> dict[str, list[Outcome]]:
        self._is_usable = False
        note(f"Scores are not cached in {str(self.table.file)!r}: {error}")
        return {}


def _is_settled(outcomes: Sequence[Outcome]) -> bool:
    return all(outcome.status in ("ok", "abstain") for outcome in outcomes)


def _write(outcomes: Sequence[Outcome]) -> str:
    return " ".join("-" if outcome.value is None else outcome.value.hex() for outcome in outcomes)


def _read(text: str) -> list[Outcome]:
    return [Outcome.abstain() if word == "-" else Outcome.ok(float.fromhex(word)) for word in text.split()]
