"""Numbers and arithmetic as they are written in answers, read exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from rlkit.arithmetic import Expression, MalformedExpressionError, parse

_INTEGER = re.compile(r"[-+]?(?:\d{1,30}|\d{1,3}(?:,\d{3}){1,9})")
_DECIMAL = re.compile(r"[-+]?\d{1,9}\.\d{1,4}")
_RATIO = re.compile(r"([-+]?\d{1,9})/(\d{1,2})|([-+]?)\\[dt]?frac\{(\d{1,9})\}\{(\d{1,2})\}")
_FLOATS = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")
_TIMES = re.compile(r"(?<=[\d)}])\s+x\s+(?=[\d({\\])")


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


def plain_number(text: str) -> Fraction | None:
    """Return the value of a plain integer, short decimal or ratio of small numbers, None for anything else.

    Within these bounds "equal as fractions" and the library's "equal when rounded to six places" are the same: two such
    numbers that differ do so by at least 1e-6.
    """
    text = text.strip().removeprefix("+")
    if _INTEGER.fullmatch(text):
        return Fraction(text.replace(",", ""))
    if _DECIMAL.fullmatch(text):
        return Fraction(text)
    ratio = _RATIO.fullmatch(text)
    if ratio is None:
        return None
    above, below = (ratio[1], ratio[2]) if ratio[2] else (ratio[3] + ratio[4], ratio[5])
    return Fraction(int(above), int(below)) if int(below) else None


def _as_fraction(match: re.Match[str]) -> str:
    value = Fraction(match[0])
    return f"({value.numerator}/{value.denominator})" if value.denominator > 1 else str(value.numerator)
