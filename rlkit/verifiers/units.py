"""What stands behind a number: units by their usual names, other words as they are."""

from __future__ import annotations

import re

_NAMES = {
    "km": "kilometer kilometers kilometre kilometres kms",
    "m": "meter meters metre metres",
    "cm": "centimeter centimeters centimetre centimetres cms",
    "mm": "millimeter millimeters millimetre millimetres",
    "nm": "nanometer nanometers nanometre nanometres",
    "in": "inch inches",
    "ft": "foot feet",
    "yd": "yard yards yds",
    "mi": "mile miles",
    "g": "gram grams gramme grammes",
    "kg": "kilogram kilograms kilo kilos kgs",
    "mg": "milligram milligrams",
    "lb": "pound pounds lbs",
    "oz": "ounce ounces",
    "l": "liter liters litre litres L",
    "ml": "milliliter milliliters millilitre millilitres mL",
    "s": "second seconds sec secs",
    "ms": "millisecond milliseconds",
    "min": "minute minutes mins",
    "h": "hour hours hr hrs",
    "day": "days",
    "week": "weeks",
    "month": "months",
    "year": "years yr yrs",
    "deg": "degree degrees",
    "rad": "radian radians",
    "$": "dollar dollars usd",
    "cent": "cents",
    "€": "euro euros eur",
    "hz": "hertz Hz",
    "mph": "",
    "kmh": "km/h kph",
    "j": "joule joules J",
    "kj": "kilojoule kilojoules kJ",
    "n": "newton newtons N",
    "w": "watt watts W",
    "kw": "kilowatt kilowatts kW",
    "v": "volt volts V",
    "pa": "pascal pascals Pa",
    "mol": "mole moles",
    "k": "kelvin K",
    "unit": "units",
}
_UNITS = {word: unit for unit, words in _NAMES.items() for word in (unit, *words.split())}
_MATHEMATICS = {
    *("pi", "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "log", "ln", "exp"),
    *("frac", "and", "or", "mod", "max", "min", "lim", "det", "infinity", "infty", "times", "cdot", "choose"),
    *("factorial", "over", "squared", "cubed"),
}
"""Words that are no unit of the number before them."""
_WRAPPED = re.compile(r"\\text\s*\{([^{}]*)\}|\\[,;: ]|~")
_DEGREE = re.compile(r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degree(?![A-Za-z])")
_POWER = re.compile(r"\s*\^\s*\{?([23])\}?$")
_WORDS = re.compile(r"[^\W\d_]+(?:[ /-][^\W\d_]+)*\.?|[€£¥₹]")


def read_unit(rest: str) -> str | None:
    """Return the unit or words that follow a number, "" for nothing, None where something else follows.

    `5m` may be algebra: a letter is a unit behind a blank or inside `\\text{}` only. Words of two letters that are no
    known unit are products, and so are three letters stuck to the number.
    """
    is_wrapped = "\\text" in rest
    is_apart = rest[:1].isspace() or rest.startswith(("\\,", "\\ ", "~", "\\;"))
    words = _DEGREE.sub(" deg ", _WRAPPED.sub(lambda wrapped: f" {wrapped[1] or ''} ", rest)).strip(" .")
    power = _POWER.search(words)
    if power:
        words = words[: power.start()]
    words = " ".join(words.split())
    if not words:
        return None if power else ""
    if not _WORDS.fullmatch(words):
        return None
    parts = re.split(r"[ -]", words.rstrip("."))
    if is_wrapped or (len(parts) == 1 and parts[0] in _UNITS):
        is_unit = is_wrapped or is_apart or len(parts[0]) > 1 or not parts[0].isalpha()
    else:
        shortest = 3 if is_apart else 4
        is_unit = all(len(part) >= shortest and part.casefold() not in _MATHEMATICS for part in parts)
    if not is_unit:
        return None
    unit = " ".join(_UNITS.get(part, _UNITS.get(part.casefold(), part.casefold())) for part in parts)
    return unit + (f"^{power[1]}" if power else "")


def is_known_unit(unit: str) -> bool:
    """Return whether a unit, as `read_unit` gives it, is one of measurement or money."""
    return unit.partition("^")[0] in _NAMES


def share_a_unit(one: str, other: str) -> bool:
    """Return whether two units can belong to one answer: one is left out, they are the same, or share a word."""
    if not one or not other or one == other:
        return True
    if is_known_unit(one) or is_known_unit(other):
        return False
    return bool({_singular(word) for word in one.split()} & {_singular(word) for word in other.split()})


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
