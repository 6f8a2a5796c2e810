"""The verdict on a run as evaluation judged it: a word, a sentence, the number that decided, what would settle it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlkit.report.cells import finite_or_none, format_number
from rlkit.report.markup import Markup, join, tag

_TONES = {
    "expansion": "better",
    "sharpening": "mixed",
    "improvement": "better",
    "harmful collapse": "worse",
    "shrinkage": "worse",
    "regression": "worse",
    "inconclusive": "none",
}
_MARKS = {"better": "▲", "worse": "▼", "mixed": "◆", "none": "○"}
"""A mark beside the word, so that colour is never the only sign."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison shows, in words."""

    word: str
    sentence: str
    deciding: str
    """The number that decided, "" where none did."""
    needed: str
    """What would settle an inconclusive comparison, "" otherwise."""

    @property
    def tone(self) -> str:
        """`better`, `worse`, `mixed` or `none`; words that the page does not know are `mixed`."""
        return _TONES.get(self.word, "mixed")


def read_verdict(comparison: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict of a comparison; None where it has none."""
    record = comparison.get("verdict") or {}
    if not record.get("word"):
        return None
    word, sentence = str(record["word"]), str(record.get("sentence") or "")
    return Verdict(
        word,
        sentence.removeprefix(f"{word}: "),
        describe_deciding(record.get("deciding") or {}),
        describe_needed(record.get("needed") or {}),
    )


def describe_deciding(deciding: Mapping[str, Any]) -> str:
    """Return the number that decided, with its interval and p-value where it has them."""
    if not deciding.get("quantity"):
        return ""
    value = finite_or_none(deciding.get("value", deciding.get("difference")))
    low, high = (finite_or_none(deciding.get(end)) for end in ("low", "high"))
    p_value = finite_or_none(deciding.get("p_adjusted", deciding.get("p_value")))
    text = f"{deciding['quantity']} {format_number(value, 3)}"
    text += "" if low is None or high is None else f" [{format_number(low, 3)}, {format_number(high, 3)}]"
    return text + ("" if p_value is None else f", p {'< 0.001' if p_value < 0.001 else format_number(p_value, 3)}")


def describe_needed(needed: Mapping[str, Any]) -> str:
    """Return what would settle the question, in the words of evaluation where it has some."""
    if needed.get("says"):
        return str(needed["says"])
    parts = [
        f"{int(count)} more {what}"
        for key, what in (("more_problems", "problems"), ("more_samples", "samples a problem"))
        if (count := finite_or_none(needed.get(key))) is not None
    ]
    quantity = needed.get("quantity")
    about = f" to see {quantity} differ" if quantity else ""
    return f"{' or '.join(parts)}{about}." if parts else ""


def verdict_lines(verdict: Verdict) -> Markup:
    """Return the word with its mark, the sentence or else the number that decided, and what is needed."""
    mark = tag("span", _MARKS[verdict.tone], class_="verdict-mark", aria_hidden="true")
    lines = [tag("p", mark, " ", verdict.word[:1].upper() + verdict.word[1:], class_=f"verdict tone-{verdict.tone}")]
    if verdict.sentence:
        lines.append(tag("p", _capital(verdict.sentence), class_="sentence"))
    # A sentence of the rules holds the number already.
    elif verdict.deciding:
        lines.append(tag("p", tag("b", "Decided by "), verdict.deciding, class_="deciding"))
    if verdict.needed:
        lines.append(tag("p", tag("b", "To settle it "), verdict.needed, class_="deciding"))
    return join(lines)


def _capital(sentence: str) -> str:
    """Return a sentence with a capital, unless it starts with the name of a quantity."""
    return sentence if sentence.startswith("pass@") else sentence[:1].upper() + sentence[1:]
