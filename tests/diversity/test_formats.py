"""Formats and reasoning marks: which text is which, and how a change of form is measured."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity.formats import (
    FORMATS,
    classify_format,
    dominant_share,
    effective_formats,
    format_shares,
    js_divergence,
    shows_format,
)

some_shares = st.lists(st.sampled_from("abcd"), max_size=9).map(format_shares)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("We add three and five.", "prose"),
        ("<think>3+5</think> 8", "think_tags"),
        ("so <answer>8</answer>", "answer_tags"),
        ('{"answer": 8}', "json"),
        ('[{"a": 1}]', "json"),
        ("```python\nprint(8)\n```", "code"),
        ("def solve():\n    return 8", "code"),
        (r"The answer is \boxed{8}.", "boxed"),
        ("We have $3+5=8$.", "latex"),
        (r"\[ x = \frac{1}{2} \]", "latex"),
        ("3 + 5 [8] [8] * 2 [16]", "arithmetic"),
        ("(3+5)*2", "arithmetic"),
        ("+ - *", "prose"),
        ("## Step 1\nAdd.", "headings"),
        ("**Answer:**\n8", "headings"),
        ("- first\n- second", "list"),
        ("1. first\nmore\n2. second", "list"),
        ("- alone", "prose"),
        ("a - b\nc - d", "prose"),
    ],
)
def test_formats(text, expected):
    assert classify_format(text) == expected


@pytest.mark.parametrize("unit", ["1", " ", "\n", "$", "*", "[", "- ", "a\n", "- a\n\n\n", "**a", "def ", "\\"])
def test_every_format_takes_linear_time(unit):
    text = "- a\n" + unit * (40_000 // len(unit)) + "x"
    start = time.process_time()
    for name in FORMATS:
        shows_format(text, name)
        shows_format(text[4:], name)
    assert time.process_time() - start < 0.5


def test_shares_and_their_spread():
    shares = format_shares(["boxed", "prose", "boxed", "boxed"])
    assert shares == {"boxed": 0.75, "prose": 0.25}
    assert list(format_shares(["b", "a"])) == ["a", "b"]
    assert dominant_share(shares) == 0.75
    assert effective_formats(shares) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    assert effective_formats({"prose": 1.0}) == pytest.approx(1.0)


def test_without_texts_nothing_is_known():
    assert format_shares([]) == {}
    assert math.isnan(dominant_share({}))
    assert math.isnan(effective_formats({}))
    assert math.isnan(js_divergence({}, {"prose": 1.0}))


@given(some_shares, some_shares)
def test_divergence_is_symmetric_bounded_and_zero_for_equals(left, right):
    if not left or not right:
        assert math.isnan(js_divergence(left, right))
        return
    value = js_divergence(left, right)
    assert value == pytest.approx(js_divergence(right, left), abs=1e-12)
    assert 0 <= value <= math.log(2) + 1e-12
    assert js_divergence(left, left) == pytest.approx(0.0, abs=1e-12)
    if not left.keys() & right.keys():
        assert value == pytest.approx(math.log(2))
