"""Text made comparable: what two completions may differ in without being different."""

from __future__ import annotations

import unicodedata

EMPTY_CLASS = "<empty>"
"""Feature of a completion without any visible text: all of those are one class."""


def normalise_text(text: str) -> str:
    """Return the text in Unicode NFKC, case-folded, runs of white space made single; EMPTY_CLASS when none is left."""
    return " ".join(split_normalised(text)) or EMPTY_CLASS


def split_normalised(text: str) -> list[str]:
    """Return what stands between white space in a text in NFKC, case-folded; empty when nothing does."""
    # Of ASCII the two change nothing but capitals.
    return (text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()).split()
