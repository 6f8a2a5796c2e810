"""How a reward is run, apart from what it computes: where, how long, how often, how many at a time.

A recipe says it under one key, `{name: math_verify, strict: true, run: {isolation: process, deadline_s: 5}}`, and an
author gives defaults, `@rlkit.reward(isolation="process", deadline_s=5)`; the recipe's word counts more.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_choice, check_count, check_flag, check_number, show
from rlkit.terminal import note

ISOLATIONS = ("inline", "process", "async")


@dataclass(frozen=True)
class RunSettings:
    """How one reward is run.

    Raises:
        ConfigError: a value is out of range, or a deadline is asked for where none can be kept.
    """

    isolation: str = "inline"
    """`inline`: on the caller's thread. `process`: in workers that are killed when late. `async`: `async def` functions
    that ask something else, such as a server, many at a time."""
    deadline_s: float | None = None
    """Seconds of one call, with all its retries; None is 10 in a process, 60 for async ones that are
    marked, and no end for those in TRL's own form and inline."""
    num_workers: int = 2
    """Processes, on every rank."""
    memory_mb: int | None = 2048
    """MiB of writable memory of one process; None for no limit."""
    cache: bool = False
    """Whether scores are kept on disk between batches and runs."""
    max_concurrency: int = 32
    """Async calls under way at a time."""
    retries: int = 2
    """Further attempts at an async call that raised."""
    rate_per_s: float | None = None
    """Async calls that may start in a second, retries among them; None for any number."""

    def __post_init__(self) -> None:
        """Check every value."""
        check_choice("run", "isolation", self.isolation, ISOLATIONS)
        check_count("run", "num_workers", self.num_workers, largest=1024)
        check_count("run", "max_concurrency", self.max_concurrency)
        check_count("run", "retries", self.retries, smallest=0, largest=100)
        check_flag("run", "cache", self.cache)
        for name in ("deadline_s", "rate_per_s"):
            if getattr(self, name) is not None:
                check_number("run", name, getattr(self, name), above=0)
        if self.memory_mb is not None:
            check_count("run", "memory_mb", self.memory_mb, smallest=64)
        if self.isolation == "inline" and self.deadline_s is not None:
            raise ConfigError(
                f"run was given deadline_s={self.deadline_s:g} for an inline reward, which nothing can interrupt; "
                "write isolation: process beside it."
            )

    @property
    def limit_s(self) -> float:
        """The deadline of a call that holds when none was given."""
        return self.deadline_s or (10.0 if self.isolation == "process" else 60.0)


SETTINGS = tuple(field.name for field in fields(RunSettings))


def check_names(run: Any) -> dict[str, Any]:
    """Return a recipe's or author's settings as a dict.

    Raises:
        ConfigError: it is no mapping, or has a name that is no setting.
    """
    if not isinstance(run, Mapping):
        raise ConfigError(f"run was given as {show(run)}; write run: {{isolation: process, deadline_s: 5}}.")
    for name in run:
        if name not in SETTINGS:
            raise ConfigError(f"run has no setting {show(name)}.{suggest(str(name), SETTINGS)}")
    run = dict(run)
    if run.get("isolation") == "external":
        # An older spelling.
        _note_renaming()
        run["isolation"] = "async"
    return run


@functools.cache
def _note_renaming() -> None:
    note("isolation: external is now called async; write isolation: async.")


def merge_settings(author: Mapping[str, Any], recipe: Mapping[str, Any], is_async: bool) -> RunSettings:
    """Return the settings that hold: the recipe's, then the author's, then the defaults.

    Raises:
        ConfigError: they do not fit each other, or the kind of function.
    """
    home = "async" if is_async else "inline"
    merged = {"isolation": home, **author, **recipe}
    if merged["isolation"] == "inline" and "deadline_s" not in recipe:
        # The author's deadline belongs to the isolation that the recipe has taken away.
        merged.pop("deadline_s", None)
    settings = RunSettings(**merged)
    if is_async != (settings.isolation == "async"):
        kind, fits = ("an async", "async") if is_async else ("no async", "inline or process")
        raise ConfigError(f"run was given isolation={settings.isolation!r} for {kind} function; write {fits}.")
    return settings
