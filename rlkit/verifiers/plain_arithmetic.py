"""Arithmetic as it is written in answers and traces, read exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from rlkit.arithmetic import Expression, MalformedExpressionError, parse

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


def _as_fraction(match: re.Match[str]) -> str:
    value = Fraction(match[0])
    return f"({value.numerator}/{value.denominator})" if value.denominator > 1 else str(value.numerator)
