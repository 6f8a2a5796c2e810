"""The table of docs/answers.md, and many spellings of one number, held against what they are worth."""

from __future__ import annotations

import re
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.verifiers import normalise_answer
from rlkit.verifiers.mathematics import judge_answers
from rlkit.verifiers.quantities import read_quantity, same_quantity

PAGE = Path(__file__).resolve().parents[2] / "docs" / "answers.md"
TABLE = re.findall(r"^\| `(.+?)` \| `(.+?)` \| (yes|no) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
def test_every_row_of_the_page_is_judged_as_it_says():
    assert len(TABLE) > 40
    grades = judge_answers([answer for answer, _, _ in TABLE], [gold for _, gold, _ in TABLE], deadline_s=60.0)
    wrong = [(row, grade) for row, grade in zip(TABLE, grades, strict=True) if grade.correct is not (row[2] == "yes")]
    assert not wrong


def spell(draw: st.DrawFn, value: Fraction) -> str:
    """Write a number in one of the many ways in which it is written."""
    sign, size = draw(st.sampled_from(["-", "−"])) if value < 0 else draw(st.sampled_from(["", "+"])), abs(value)
    p, q = size.numerator, size.denominator
    times = draw(st.integers(1, 9))
    forms = [f"\\frac{{{p * times}}}{{{q * times}}}", f"\\dfrac{{{p}}}{{{q}}}", f"{p * times}/{q * times}"]
    if q == 1:
        grouped = f"{p:,}"
        forms += [str(p), f"{p}.0", f"{p}.", f"0{p}", grouped]
        forms += [grouped.replace(",", mark) for mark in (r"\,", "{,}", "\u2009", "\u202f", " ", r"\!", "'")]
        forms += [str(p).translate(str.maketrans("0123456789", "０１２３４５６７８９"))]
    if q > 1 and p > q:
        forms += [f"{p // q} {p % q}/{q}", f"{p // q}\\frac{{{p % q}}}{{{q}}}", f"{p // q} \\frac{{{p % q}}}{{{q}}}"]
    if 10**6 % q == 0:
        decimal = f"{p * (10**6 // q):07d}"
        decimal = f"{decimal[:-6]}.{decimal[-6:]}"
        forms += [decimal, decimal.rstrip("0")]
        power = draw(st.integers(-6, 6))
        mantissa = f"{p * 10**12 // q:013d}"
        mantissa = f"{mantissa[:-12]}.{mantissa[-12:]}".rstrip("0").rstrip(".")
        shifted = Fraction(mantissa) / Fraction(10) ** power
        if 10**6 % shifted.denominator == 0 and shifted.denominator == 1:
            forms += [f"{shifted.numerator}e{power}", f"{shifted.numerator} \\times 10^{{{power}}}"]
    text = sign + draw(st.sampled_from(forms))
    wrap = draw(st.sampled_from(["{}", " {} ", "${}$", "**{}**", "x = {}", "\\({}\\)", "`{}`", "\\text{{{}}}"]))
    return wrap.format(text) if "frac" not in text or "\\text" not in wrap else text


numbers = st.builds(Fraction, st.integers(-(10**6), 10**6), st.sampled_from([1, 1, 1, 2, 3, 4, 5, 7, 8, 10, 16, 25]))


@given(st.data(), numbers)
def test_every_spelling_of_a_number_is_read_as_that_number(data, value):
    text = data.draw(st.composite(spell)(value))
    read = read_quantity(text)
    assert read is not None, text
    assert read.value == value, text
    assert normalise_answer(text) == str(value), text


@given(st.data(), numbers, numbers)
def test_two_numbers_are_the_same_exactly_where_their_values_are(data, one, other):
    texts = [data.draw(st.composite(spell)(value)) for value in (one, other)]
    left, right = (read_quantity(text) for text in texts)
    assert left is not None
    assert right is not None
    # Up to six digits all of these are exact, so nothing is taken for rounded.
    assert same_quantity(left, right) == (one == other), texts


@given(st.text(alphabet="0123456789.,/ -+%_^{}\\$°eE()×mkfractext½²\u2009", max_size=40))
def test_reading_a_number_never_raises(text):
    read_quantity(text)


@pytest.mark.parametrize("unit", ["1" * 200_000, "1," * 100_000, "\\frac{" * 40_000, "√(" * 50_000, "1 " * 100_000])
def test_long_texts_are_no_numbers(unit):
    assert read_quantity(unit) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        " " * 100_000 + "1",
        "1 " * 100_000,
        "\\frac{" * 900,
        "√(" * 900,
        "1, " * 600,
        "x^" * 900,
        "9^{9^{9^{9^9}}}",
    ],
)
def test_hostile_answers_end(text):
    started = time.monotonic()
    (grade,) = judge_answers([text], [r"\frac{\sqrt{2}}{3}"], deadline_s=5.0)
    assert grade.correct is not True
    assert time.monotonic() - started < 25
