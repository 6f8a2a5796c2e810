"""How large a change must be to matter, and which side of that an interval is sure of.

Three zones a question: worse by more than the margin, within it, better by more than it. An interval that lies in one
zone answers the question; one that touches two rules out the third; one that touches all three says nothing. With
simultaneous intervals all zones of all questions are tested at once (Goeman, Solari & Stijnen 2010, "Three-sided
hypothesis testing", Statistics in Medicine 29).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from rlkit.errors import ConfigError, suggest

MARGINS: Mapping[str, float] = MappingProxyType({"pass@1": 0.02, "pass@k": 0.02, "diversity": 0.1, "collapse": 0.2})
"""Changes that matter: of pass@1 and pass@k absolute, of diversity as a share of the base's; `collapse` is the share
of the base's diversity whose loss is large."""


class Answer(StrEnum):
    """What an interval is sure of."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    NOT_WORSE = "not worse"
    NOT_BETTER = "not better"
    OPEN = "not settled"
    UNKNOWN = "not measured"

    @property
    def rules_out_worse(self) -> bool:
        """Whether a loss beyond the margin is ruled out."""
        return self in (Answer.BETTER, Answer.SAME, Answer.NOT_WORSE)

    @property
    def rules_out_better(self) -> bool:
        """Whether a gain beyond the margin is ruled out."""
        return self in (Answer.WORSE, Answer.SAME, Answer.NOT_BETTER)

    @property
    def is_settled(self) -> bool:
        """Whether the interval lies in one zone."""
        return self in (Answer.BETTER, Answer.SAME, Answer.WORSE)


def answer(low: float | None, high: float | None, margin: float) -> Answer:
    """Return the zones that an interval of a change touches; limits may be infinite, None or NaN is no interval."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return Answer.UNKNOWN
    if low > margin:
        return Answer.BETTER
    if high < -margin:
        return Answer.WORSE
    if low >= -margin:
        return Answer.SAME if high <= margin else Answer.NOT_WORSE
    return Answer.NOT_BETTER if high <= margin else Answer.OPEN


def read_margins(text: str | None) -> dict[str, float]:
    """Return the margins, those in `pass@1=0.02,diversity=0.1` in the place of the usual ones.

    Raises:
        ConfigError: an unknown name, something other than a number from 0 to below 1, or a collapse smaller than the
            margin of diversity.
    """
    margins = dict(MARGINS)
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in margins:
            raise ConfigError(f"--margin was given for {name!r}.{suggest(name, list(margins))}")
        try:
            margins[name] = float(number)
        except ValueError:
            margins[name] = math.nan
        if not 0.0 <= margins[name] < 1.0:
            raise ConfigError(f"--margin was given as {part!r}; write a number from 0 to below 1: {name}=0.02.")
    if margins["collapse"] < margins["diversity"]:
        raise ConfigError(
            f"The margins call a loss of {margins['collapse']:g} a collapse and one of {margins['diversity']:g} small; "
            "write a collapse that is no smaller than the margin of diversity."
        )
    return margins
