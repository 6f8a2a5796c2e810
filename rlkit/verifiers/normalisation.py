"""Text made comparable: what two completions may differ in without being different."""

from __future__ import annotations

import unicodedata

EMPTY_CLASS = "<empty>"
"""Feature of a completion without any visible text: all of those are one class."""


def normalise_text(text: str) -> str:
    """Return the text in Unicode NFKC, case-folded, runs of white space made single; EMPTY_CLASS when none is left."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()) or EMPTY_CLASS
