r"""Numbers with what may stand around them, read exactly, and when two of them are the same answer.

same_quantity(read_quantity("45°"), read_quantity("45"))       # True; docs/answers.md has the decisions
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from rlkit.verifiers.spelling import tidy
from rlkit.verifiers.units import read_unit, share_a_unit

_LONGEST = 400
"""Characters of the longest number that is read."""
_FEWEST_DIGITS = 6
"""Significant digits from which a decimal stands for the exact number that rounds to it."""

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)"
_EXPONENT = r"\^\s*(?:\{\s*([-+]?\d{1,3})\s*\}|([-+]?\d{1,3}))"
_ASSIGNMENT = re.compile(r"^[A-Za-z](?:_\{?\w\}?)?\s*=\s*(?=\S)")
_SIGN = re.compile(r"\s*([-+]?)\s*(\\\$|[€£¥₹])?\s*([-+]?)\s*")
_SCIENTIFIC = re.compile(rf"(?:({_NUMBER})\s*(?:\\times|\\cdot|\*|x)\s*)?10\s*{_EXPONENT}")
_FRACTION = re.compile(rf"(?:(\d+)\s*)?\\frac\{{\s*([-+]?{_NUMBER})\s*\}}\{{\s*([-+]?{_NUMBER})\s*\}}")
_RATIO = re.compile(rf"({_NUMBER})\s*/\s*({_NUMBER})")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\s*\{(\d+)\}")
_IN_BASE = re.compile(
    r"([0-9A-Za-z]*\d[0-9A-Za-z]*|[0-9A-F]{2,})_(?:\{\s*\(?(?:\\text\{)?\s*(\d{1,2})\s*\}?\)?\s*\}|(\d{1,2}))"
)
_PLAIN = re.compile(rf"({_NUMBER})(\s*\\ldots)?")
_WRAPPED = re.compile(r"\\text\s*\{([^{}]*)\}")
_BRACKETED = re.compile(r"\((\d+)\)|\{(\d+)\}")
_PERCENT = re.compile(r"\s*(?:\\?%|(?:\\text\{)?\s*per\s?cent\s*\}?)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Quantity:
    """A number as an answer gives it."""

    value: Fraction
    digits: int | None = None
    """Significant digits of one that is written with a decimal point or dots; None where the number is exact."""
    half_unit: Fraction = Fraction(0)
    """Half of what one more in the last digit would add."""
    base: int | None = None
    """Of a numeral with a subscript; None without one."""
    is_percent: bool = False
    unit: str = ""

    @property
    def key(self) -> str:
        """A text that quantities of the same value, base and unit share."""
        marks = (f"_{self.base}" if self.base else "") + ("%" if self.is_percent else "")
        return f"{self.value}{marks}{' ' + self.unit if self.unit else ''}"


def read_quantity(answer: str) -> Quantity | None:
    """Return the number that an answer is, None where it is anything else or too long; time linear in the answer.

    Read are whole numbers, decimals (`.5`, `1,234.50`, `0.1\\overline{6}`), ratios and fractions, mixed numbers, powers
    of ten and e-notation, numerals with a base (`52_8`), percentages, degrees, currencies, and a unit or words behind.
    """
    if len(answer) > _LONGEST:
        return None
    text = _ASSIGNMENT.sub("", tidy(answer))
    if wrapped := _WRAPPED.fullmatch(text):
        text = wrapped[1]
    if bracketed := _BRACKETED.fullmatch(text):
        text = bracketed[1] or bracketed[2]
    sign = _SIGN.match(text)
    assert sign, "every part of it may be absent"
    if sign[1] and sign[3]:
        return None
    read = _read_body(text, sign.end())
    if read is None:
        return None
    number, end = read
    rest = text[end:]
    percent = _PERCENT.match(rest)
    unit = read_unit(rest[percent.end() :] if percent else rest)
    if unit is None or (sign[2] and unit):
        return None
    value = -number.value if "-" in (sign[1], sign[3]) else number.value
    money = sign[2].lstrip("\\") if sign[2] else ""
    return Quantity(value, number.digits, number.half_unit, number.base, percent is not None, unit or money)


def same_quantity(answer: Quantity, gold: Quantity) -> bool:
    """Return whether two numbers are the same answer.

    Values are equal exactly, or one is a decimal of six significant digits or more and the other, which is none, rounds
    to it. Numerals with a base want the same base; a percentage is also the number before its sign; units that both
    state must agree.
    """
    if answer.base != gold.base or not share_a_unit(answer.unit, gold.unit):
        return False
    if answer.is_percent == gold.is_percent:
        return _same_value(answer, answer.value, gold, gold.value)
    return any(
        _same_value(answer, _unmark(answer, factor), gold, _unmark(gold, factor)) for factor in (1, Fraction(1, 100))
    )


def plain_number(text: str) -> Fraction | None:
    """Return the value of a number without base, percent sign or unit, None for anything else."""
    read = read_quantity(text)
    return None if read is None or read.base or read.is_percent or read.unit else read.value


def _unmark(number: Quantity, factor: Fraction | int) -> Fraction:
    return number.value * factor if number.is_percent else number.value


def _same_value(answer: Quantity, value: Fraction, gold: Quantity, wanted: Fraction) -> bool:
    if value == wanted:
        return True
    if (answer.digits is None) == (gold.digits is None):
        return False
    rounded = gold if answer.digits is None else answer
    scale = abs(value / answer.value) if rounded is answer and answer.value else Fraction(1)
    return (rounded.digits or 0) >= _FEWEST_DIGITS and abs(value - wanted) <= rounded.half_unit * scale


def _read_body(text: str, start: int) -> tuple[Quantity, int] | None:
    """Return the number that begins at a place and where it ends."""
    for pattern, read in _READERS:
        match = pattern.match(text, start)
        if match and (number := read(match)) is not None:
            return number, match.end()
    return None


def _scientific(match: re.Match[str]) -> Quantity:
    mantissa = _decimal(match[1]) if match[1] else Quantity(Fraction(1))
    power = Fraction(10) ** int(match[2] or match[3])
    return Quantity(mantissa.value * power, mantissa.digits, mantissa.half_unit * power)


def _fraction(match: re.Match[str]) -> Quantity | None:
    below = _decimal(match[3]).value
    if not below:
        return None
    return Quantity(int(match[1] or 0) + _decimal(match[2]).value / below)


def _ratio(match: re.Match[str]) -> Quantity | None:
    below = _decimal(match[2]).value
    return Quantity(_decimal(match[1]).value / below) if below else None


def _repeating(match: re.Match[str]) -> Quantity:
    fixed, repeated = match[1] + match[2], match[3]
    value = Fraction(int(fixed + repeated) - int(fixed or 0), 10 ** len(match[2]) * (10 ** len(repeated) - 1))
    return Quantity(value)


def _in_base(match: re.Match[str]) -> Quantity | None:
    base = int(match[2] or match[3])
    try:
        return Quantity(Fraction(int(match[1], base)), base=base) if 2 <= base <= 36 else None
    except ValueError:
        return None


def _plain(match: re.Match[str]) -> Quantity | None:
    number = _decimal(match[1])
    if not match[2]:
        return number
    # Dots behind a decimal say that it goes on; behind a whole number they are a sequence.
    return Quantity(number.value, number.digits, number.half_unit * 2) if "." in match[1] else None


def _decimal(written: str) -> Quantity:
    signed = written.replace(",", "")
    digits = signed.lstrip("+-")
    value = Fraction(signed if not signed.endswith(".") else signed[:-1])
    if "." not in digits.rstrip("."):
        return Quantity(value)
    decimals = len(digits.partition(".")[2])
    significant = len(digits.replace(".", "").lstrip("0"))
    return Quantity(value, significant, Fraction(1, 2 * 10**decimals))


_READERS = (
    (_SCIENTIFIC, _scientific),
    (_FRACTION, _fraction),
    (_REPEATING, _repeating),
    (_IN_BASE, _in_base),
    (_RATIO, _ratio),
    (_PLAIN, _plain),
)
"""The forms of a number, those first that begin like another one."""
