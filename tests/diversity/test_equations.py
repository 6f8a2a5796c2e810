"""Which equations a trace holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity.equations import find_equations


@pytest.mark.parametrize(
    "text",
    [
        "3+5=8",
        "We get 3 + 5 = 8.",
        "8 = 5 + 3",
        "- 3 + 5 = 8",
        "1) 3 + 5 = 8",
        "**3+5 = 8**",
        r"\[ 3 + 5 = 8 \]",
        "$5+3=8$",
        "3 + 5 [8]",
        "8 = 8 and 3+5=8, so 3 + 5 = 8",
    ],
)
def test_one_equation_written_in_many_ways(text):
    assert find_equations(text) == find_equations("3 + 5 = 8") != frozenset()
    assert len(find_equations(text)) == 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("3+5=8=16/2", ["3+5=8", "8=16/2"]),
        ("3 + 5 [8] [8] * 2 [16]", ["3+5=8", "8*2=16"]),
        ("first 3+5=8\nthen 8*2=16", ["3+5=8", "8*2=16"]),
        (r"$\frac{1}{2} \times 4 = 2$", ["1/2*4=2"]),
        ("0.5*4 = 2", ["(1/2)*4=2"]),
        ("1,000*2 = 2,000", ["1000*2=2000"]),
        ("2x + 3 = 7 so x = 2", ["2x+3=7", "x=2"]),
        ("x = 3 + 5 = 8", ["x=3+5", "3+5=8"]),
    ],
)
def test_equations_of_a_text(text, parts):
    assert find_equations(text) == frozenset().union(*(find_equations(part) for part in parts))
    assert len(find_equations(text)) == len(parts)


def test_different_equations_stay_different():
    texts = ["3+5=8", "3*5=15", "3-5=8", "3+5=9", "4+4=8", "2x+3=7", "3=7", "x=7"]
    assert len({find_equations(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("text", ["", "no equation", "8 = 8", "=", "==", "a <= b", "x = ", "3 != 4"])
def test_texts_without_equations(text):
    assert find_equations(text) == frozenset()


@given(st.text(alphabet="0123456789+-*/=()[]{}$x, .\n\\", max_size=60))
def test_reading_never_raises(text):
    find_equations(text)
