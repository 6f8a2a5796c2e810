r"""Whether two answers are the same where they are lists, words or expressions: what a worker process is asked.

    same_answer("1, 3", r"\{3, 1\}", equal=library)      # True; docs/answers.md has the decisions

Lists are taken apart, words compared as words, numbers exactly; the library sees only what is left, one expression at a
time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from rlkit.verifiers.quantities import read_quantity, same_quantity
from rlkit.verifiers.spelling import tidy

Equal = Callable[[str, str], bool]
"""Whether two expressions are equal."""

_MOST_ITEMS = 24
"""Longer lists are compared in order."""
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|textrm)\s*\{([^{}]*)\}")
_JOINING = re.compile(r"\\text\s*\{\s*,?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|;")
_WORDS = re.compile(r"[^\W\d_]+(?:[\s'’.,!-]+[^\W\d_]+)*")
_MONOMIAL = re.compile(r"[-+]?\d+(?:\.\d+)?[A-Za-z]")
_FUNCTIONS = {
    *("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
    *("log", "ln", "exp", "sqrt", "max", "min", "gcd", "lcm", "mod", "det", "infty"),
}
_LONGEST_PRODUCT = 3
"""Letters side by side that are a product of variables; more are a word."""
_OPEN, _SHUT = "([{", ")]}"


class Items(NamedTuple):
    """An answer taken apart."""

    brackets: str
    """Those of a tuple, point or interval; "" for sets and bare lists, whose order is free."""
    items: list[str]


def same_answer(answer: str, gold: str, equal: Equal) -> bool:
    """Return whether two answers are the same; `equal` is asked of expressions that are neither numbers nor words."""
    one, other = take_apart(tidy(answer)), take_apart(tidy(gold))
    if len(one.items) == len(other.items) == 1:
        return same_item(one.items[0], other.items[0], equal)
    if one.brackets != other.brackets or len(one.items) != len(other.items):
        return False
    has_dots = any("\\ldots" in item for item in (*one.items, *other.items))
    if one.brackets or has_dots or len(one.items) > _MOST_ITEMS:
        return all(same_item(left, right, equal) for left, right in zip(one.items, other.items, strict=True))
    missing = list(other.items)
    for item in one.items:
        found = next((at for at, wanted in enumerate(missing) if same_item(item, wanted, equal)), None)
        if found is None:
            return False
        del missing[found]
    return True


def take_apart(text: str) -> Items:
    """Return the items of a tidied list, set, point or interval; one item for anything else."""
    if "\\begin" in text or "\\langle" in text or "\\cup" in text or "\\cap" in text:
        return Items("", [text])
    brackets = ""
    if text.startswith("\\{") and text.endswith("\\}"):
        text = text[2:-2]
    elif _encloses(text):
        inside = _split(text[1:-1])
        if len(inside) > 1:
            return Items(text[0] + text[-1], inside)
    if read_quantity(text) is not None:
        return Items(brackets, [text])
    items = _split(_JOINING.sub(",", text))
    return Items(brackets, [each for item in items for each in _both_signs(item)] if brackets == "" else items)


def same_item(answer: str, gold: str, equal: Equal) -> bool:
    """Return whether two single answers, tidied, are the same."""
    if squeeze(answer) == squeeze(gold):
        return any(sign.isalnum() for sign in answer)
    number, wanted = read_quantity(answer), read_quantity(gold)
    if number and wanted:
        return same_quantity(number, wanted)
    if (number and _MONOMIAL.fullmatch(gold)) or (wanted and _MONOMIAL.fullmatch(answer)):
        # The library takes the letter for a unit.
        return False
    if (number and number.base) or (wanted and wanted.base) or "\\ldots" in answer or "\\ldots" in gold:
        return False
    said, wanted_words = read_words(answer), read_words(gold)
    if said is not None or wanted_words is not None:
        return said == wanted_words
    return equal(answer, gold)


def read_words(text: str) -> str | None:
    """Return the words that an answer is, without case and marks; None for formulas, numbers and single letters."""
    plain = _TEXT.sub(r"\1", text).strip(" ()[]{}.\"'")
    if not _WORDS.fullmatch(plain):
        return None
    words = re.findall(r"[^\W\d_]+", plain)
    is_marked = plain != text and "\\" in text and len(plain) > 1
    if not is_marked and all(len(word) <= _LONGEST_PRODUCT or word.casefold() in _FUNCTIONS for word in words):
        return None
    return " ".join(words).casefold()


def squeeze(text: str) -> str:
    """Return a text without blanks, bar those that part two numbers or words."""
    return re.sub(r"(?<!\w) | (?!\w)", "", " ".join(text.split()))


def _encloses(text: str) -> bool:
    """Return whether the first bracket is closed by the last sign of the text."""
    if len(text) < 2 or text[0] not in "([" or text[-1] not in ")]":
        return False
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign in _OPEN) - (sign in _SHUT)
        if depth <= 0:
            return place == len(text) - 1
    return False


def _split(text: str) -> list[str]:
    """Return the parts between commas that no bracket encloses."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign in _OPEN) - (sign in _SHUT)
        if sign == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part] or [text]


def _both_signs(item: str) -> list[str]:
    if item.count("\\pm") != 1 or "\\mp" in item:
        return [item]
    return [item.replace("\\pm", "+").lstrip("+ "), item.replace("\\pm", "-")]
