"""The errors a user can meet, each one sentence: what was given, what is allowed, what to write instead.

Every class refines a standard-library error, so that `except ValueError` keeps working. The command line turns any
`RlkitError` into that sentence on standard error and exit code 2; everything else is a bug and keeps its traceback.
To add one: subclass `RlkitError` and the standard error it refines, and say in the docstring who raises it.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable


class RlkitError(Exception):
    """Base of every error that the user, not the developer, can mend."""


class ConfigError(RlkitError, ValueError):
    """A recipe, command-line option or constructor argument is not allowed; raised before any model is loaded."""


class PluginError(RlkitError, LookupError):
    """A named plug-in (task, reward, partition, advantage, ...) cannot be found, imported or built."""


class MissingInputError(RlkitError, ValueError):
    """A transform needs a field of the group that nothing in the recipe provides."""


class RewardError(RlkitError, RuntimeError):
    """Rewards failed more often than allowed, or a reward broke its contract."""


class EngineError(RlkitError, RuntimeError):
    """What samples are drawn from (a server, a device) failed while they were drawn; what was drawn before is kept."""


class RewardCheckError(RlkitError, AssertionError):
    """A reward plug-in did not hold to its contract; raised by `rlkit.testing`, with the `report`."""

    def __init__(self, message: str, report: object = None) -> None:
        """Take the failures as text, and the report that they are from."""
        super().__init__(message)
        self.report = report


class StoreError(RlkitError, RuntimeError):
    """A run or sample directory holds something other than what is about to be written there."""


_MOST_NAMES = 12
"""Names that one sentence can hold and still be read."""
_MOST_TRACE = 8000
"""Characters of a traceback that are kept."""


def suggest(given: str, allowed: Iterable[str], listed_by: str | None = None) -> str:
    """Return ` Did you mean 'x'?` for the nearest allowed name, or the sorted list of names when none is near.

    Args:
        given: what the user wrote.
        allowed: the names that would have been accepted; of more than twelve the first twelve are listed.
        listed_by: the command that lists all of them, said where not all are.

    Returns:
        A sentence with a leading space, ready to be appended to an error message.
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    more = len(names) - _MOST_NAMES
    if more <= 0:
        return f" Allowed: {', '.join(names)}." if names else ""
    where = f"; {listed_by} lists all" if listed_by else ""
    return f" Allowed: {', '.join(names[:_MOST_NAMES])} and {more} more{where}."


def say_error(error: BaseException) -> str:
    """Return an error's class and words on one line; also of one whose words cannot be made."""
    try:
        said = " ".join(str(error).split())[:300]
    except Exception:
        said = ""
    return f"{type(error).__name__}{f': {said}' if said else ''}"


def trace_error(error: BaseException) -> str:
    """Return the end of an error's traceback, without its first call, which is that of whoever caught it."""
    calls = error.__traceback__ and error.__traceback__.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, calls))[-_MOST_TRACE:]
    except Exception:
        return say_error(error)
