"""The verdict on a run as evaluation judged it: a word, a sentence, what decided, and what would settle it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.evaluation.comparing.comparison import Choices
from rlkit.report.cells import format_number, format_signed
from rlkit.report.markup import Markup, join, tag

_TONES = {
    "better": "better",
    "better and broader": "better",
    "broader": "better",
    "sharper": "mixed",
    "narrower": "worse",
    "collapsed": "worse",
    "worse": "worse",
    "no difference": "none",
    "not settled": "none",
}
_RELATIVE = ("diversity", "collapse")
"""Margins that are shares of the reference's diversity."""
_MARKS = {"better": "▲", "worse": "▼", "mixed": "◆", "none": "○"}
"""A mark beside the word, so that colour is never the only sign."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison shows, in words."""

    word: str
    sentence: str
    needed: str
    """What would settle an open comparison, "" otherwise."""
    further: tuple[str, ...] = ()
    """What the base's other temperatures say beyond the sentence."""
    command: str = ""
    """What would sample the base at other temperatures, "" where that was done."""
    questions: tuple[tuple[str, ...], ...] = ()
    """Rows of the table of what decided: quantity, base, run, change, margin, what is sure."""

    @property
    def tone(self) -> str:
        """`better`, `worse`, `mixed` or `none`; words that the page does not know are `mixed`."""
        return _TONES.get(self.word, "mixed")


def read_verdict(comparison: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict of a comparison; None where it has none."""
    record = comparison.get("verdict") or {}
    if not record.get("word"):
        return None
    front = record.get("front") or {}
    return Verdict(
        str(record["word"]),
        str(record.get("sentence") or ""),
        str((record.get("needed") or {}).get("says") or ""),
        tuple(map(str, front.get("says") or ())),
        str(front.get("command") or ""),
        tuple(tuple(row) for row in question_rows(record)),
    )


def describe_choices(comparisons: Sequence[Mapping[str, Any]], choices: Choices) -> str:
    """Say which margins, k and measure of diversity decided the verdicts."""
    records = [comparison["verdict"] for comparison in comparisons if comparison.get("verdict")]
    ks = sorted({record["k"] for record in records if "k" in record})
    measures = list(dict.fromkeys(record["diversity"] for record in records if record.get("diversity")))
    margins = ", ".join(
        f"{name} {f'{100 * size:g} %' if name in _RELATIVE else f'{size:g}'}" for name, size in choices.margins.items()
    )
    said = [f"Margins: {margins}."]
    if ks:
        said.append(f"k of pass@k: {' or '.join(map(str, ks))}.")
    if measures:
        said.append(f"Diversity: {' or '.join(name.replace('_', ' ') for name in measures)}.")
    return " ".join(said)


def verdict_mark(verdict: Verdict, element: str = "span") -> Markup:
    """Return the word with its mark."""
    mark = tag("span", _MARKS[verdict.tone], class_="verdict-mark", aria_hidden="true")
    return tag(element, mark, " ", verdict.word[:1].upper() + verdict.word[1:], class_=f"verdict tone-{verdict.tone}")


def verdict_lines(verdict: Verdict) -> Markup:
    """Return the word with its mark, the sentence, what is needed, and what the base's temperatures say."""
    lines = [verdict_mark(verdict, "p")]
    if verdict.sentence:
        lines.append(tag("p", verdict.sentence, class_="sentence"))
    if verdict.needed:
        lines.append(tag("p", tag("b", "To settle it "), verdict.needed, class_="deciding"))
    lines += [tag("p", said, class_="deciding") for said in verdict.further]
    if verdict.command:
        lines.append(tag("pre", verdict.command, class_="commands", tabindex="0"))
    return join(lines)


def question_rows(record: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the rows of the table of what decided: the questions, then those at the base's other temperatures."""
    for question in record.get("questions") or ():
        yield _question_texts(question)
    for point in (record.get("front") or {}).get("points") or ():
        if point["base_temperature"] is None:
            continue
        at = f"run at T {point['temperature']:g}, base at {point['base_temperature']:.2f}"
        for question in point["questions"].values():
            if question["name"] != "pass@1":
                name, *texts = _question_texts(question)
                yield [f"{name}, {at}", *texts]


def _question_texts(question: Mapping[str, Any]) -> list[str]:
    scale, unit, digits = (100.0, " %", 1) if question["is_relative"] else (1.0, "", 3)

    def signed(value: float | None) -> str:
        return "open" if value is None else format_signed(scale * value, digits)

    change = "undefined"
    if question["change"] is not None:
        change = f"{signed(question['change'])}{unit} [{signed(question['low'])}, {signed(question['high'])}]"
    ends = [format_number(question[side], 3) for side in ("base", "run")]
    margin = f"{scale * question['margin']:g}{unit}"
    return [question["quantity"].replace("_", " "), *ends, change, margin, question["answer"]]
