"""Where a completion gives its final answer, and which answer that is."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from rlkit.arithmetic import (
    Expression,
    MalformedExpressionError,
    finish,
    parse,
    replay_steps,
    split_steps,
)
from rlkit.verifiers.normalisation import normalise_text

NO_ANSWER = "<no answer>"
"""Feature of a completion that gives no final answer."""


class Announcement(NamedTuple):
    """A final answer as it stands in a text."""

    content: str
    end: int
    """Where the text after it begins."""
    is_closed: bool
    """Whether a closing mark says that it is whole; else it ends with its line."""


def cut_after_answer(text: str) -> str:
    """Return the text up to the end of its final answer, all of it when none is announced.

    What follows the answer is no part of the reasoning, and a policy paid for diversity fills it with noise (DARLING,
    arXiv 2509.02534, on its 4-gram reward). The final answer is the last closed `\\boxed{...}` or
    `<answer>...</answer>`; without one, the last line with `#### x` or `answer is x` (also `answer: x`).
    """
    found = find_answer(text)
    return text if found is None else text[: found.end]


def find_answer(text: str) -> Announcement | None:
    """Return the final answer that a text announces, None when it announces none; time linear in the text."""
    marked = [found for found in (_last_boxed(text), _last_tagged(text)) if found is not None]
    if marked:
        return max(marked, key=lambda found: found.end)
    lines = [found for found in (_last_line(_HASHES, text), _last_line(_SENTENCE, text)) if found is not None]
    return max(lines, key=lambda found: found.end, default=None)


def announced_answer(text: str) -> str | None:
    """Return the final answer that a text announces as it was written, None when it announces none.

    See `cut_after_answer` for what announces one. Units and words behind a number are dropped in lines without a
    closing mark.
    """
    found = find_answer(text)
    return None if found is None else (found.content if found.is_closed else _trim_line(found.content)).strip() or None


def read_answer(text: str) -> str | None:
    """Return the normalised final answer of a completion, None when it gives none.

    What is announced (see `cut_after_answer`) counts; of a text that announces nothing, the value of the steps that it
    consists of (`3 + 5 [8] 8 * [8] [64]` gives `64`) or of the bare expression that it is. Numbers are exact: `24`,
    `24.0`, `\\frac{48}{2}`, `(3+5)*3` and `x = 24` are all `24`; `1,000` is `1000` and `0.5` is `1/2`. Other answers
    are compared as text without case, LaTeX spacing, and blanks around punctuation. Units and words behind a number
    are dropped in `answer is ...` lines only.
    """
    found = find_answer(text)
    if found is not None:
        return normalise_answer(found.content if found.is_closed else _trim_line(found.content))
    value = _value_of_steps(text)
    if value is None and (expression := parse_arithmetic(text.partition("=")[0])) is not None:
        value = expression.value
    return None if value is None else str(value)


def normalise_answer(answer: str) -> str | None:
    """Return an answer in the form in which answers are compared, None when nothing is left of it."""
    boxed = _last_boxed(answer)
    plain = _SILENT.sub("", boxed.content if boxed is not None else answer)
    plain = _SHORT_FRACTION.sub(r"\1{\2}{\3}", _LATEX_TEXT.sub(r"\1", plain)).strip(" \t\n*").rstrip(".").strip()
    plain = _ASSIGNMENT.sub("", plain)
    number = plain.replace(",", "") if _GROUPED.fullmatch(plain) else plain
    if _DECIMAL.fullmatch(number):
        return str(Fraction(number))
    if (expression := parse_arithmetic(plain.partition("=")[0])) is not None:
        return str(expression.value)
    if not plain:
        return None
    return _BLANKS_AT_SIGNS.sub(r"\1", normalise_text(plain)) or None


def parse_arithmetic(text: str) -> Expression | None:
    """Return the arithmetic that a text is, None when it is anything else; decimals are read as exact fractions.

    Stricter than `rlkit.arithmetic.parse` in one thing: `x` multiplies only between blanks and operands, so that `2x+3`
    is algebra and not 6.
    """
    text = _TIMES.sub("*", text)
    if "x" in text:
        return None
    try:
        return parse(_FLOATS.sub(_as_fraction, text))
    except (MalformedExpressionError, ZeroDivisionError):
        return None


_BRACE = re.compile(r"\\boxed\s*\{|[{}]")
# Possessive, so that no text costs more than linear time.
_HASHES = re.compile(r"####[ \t]*+(?=\S)")
_SENTENCE = re.compile(r"\banswer(?:\*\*)?[ \t]*+(?:is\b|[:=])[ \t:*]*+(?=\S)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\s(?:because|since)\s")
_NUMBER_AND_WORDS = re.compile(r"\$?([-+]?\d[\d,]*+(?:\.\d+)?(?:/\d+)?)(?: +(?!pi\b|sqrt)[^\W\d]{2,}[^\d=+*/^\\]*)?")
_SILENT = re.compile(r"\\?\$|\\[()\[\],;:! ]|\\(?=%)|\\left(?![a-z])|\\right(?![a-z])")
_SHORT_FRACTION = re.compile(r"(\\[dt]?frac)\s*([0-9])\s*([0-9])")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_ASSIGNMENT = re.compile(r"^[A-Za-z]\s*=\s*(?=\S)")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"[-+]?\d{1,300}(?:\.\d{0,300})?|[-+]?\.\d{1,300}", re.ASCII)
_FLOATS = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")
_BLANKS_AT_SIGNS = re.compile(r"\s*([^\w\s])\s*")
_TIMES = re.compile(r"(?<=[\d)}])\s+x\s+(?=[\d({\\])")


def _last_boxed(text: str) -> Announcement | None:
    last, open_starts = None, list[int | None]()
    for match in _BRACE.finditer(text):
        if match[0] != "}":
            open_starts.append(match.end() if len(match[0]) > 1 else None)
        elif open_starts and (start := open_starts.pop()) is not None:
            last = Announcement(text[start : match.start()], match.end(), True)
    return last


def _last_tagged(text: str) -> Announcement | None:
    opening = text.rfind("<answer>", 0, max(text.rfind("</answer>"), 0))
    if opening < 0:
        return None
    start, closing = opening + len("<answer>"), text.find("</answer>", opening)
    return Announcement(text[start:closing], closing + len("</answer>"), True)


def _last_line(pattern: re.Pattern[str], text: str) -> Announcement | None:
    start = max((match.end() for match in pattern.finditer(text)), default=None)
    if start is None:
        return None
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return Announcement(text[start:end], end, False)


def _trim_line(content: str) -> str:
    """Return the first sentence of a line, and of that the number alone where only words follow it."""
    sentence = _SENTENCE_END.split(content, maxsplit=1)[0]
    number = _NUMBER_AND_WORDS.fullmatch(sentence.strip(" \t*"))
    return number[1].rstrip(",") if number else sentence


def _as_fraction(match: re.Match[str]) -> str:
    value = Fraction(match[0])
    return f"({value.numerator}/{value.denominator})" if value.denominator > 1 else str(value.numerator)


def _value_of_steps(text: str) -> Fraction | None:
    steps, rest = split_steps(text)
    last = replay_steps(steps).last if steps and not rest else None
    return None if last is None else finish(last).value
