"""Checks of parameters: what each takes, what each refuses, and that a refusal is one sentence."""

from __future__ import annotations

import math
from functools import partial

import pytest

from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_count, check_flag, check_number, check_text, name_in_recipes, show

NO_NUMBERS = [None, True, False, "1", "", [], [1], {}, math.nan, math.inf, -math.inf, 10**400, -(10**5000), 1j]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: show(value, 20))
def test_what_is_no_finite_number_is_refused_whatever_the_range(value):
    for limits in ({}, {"at_least": 0}, {"above": -1, "below": 2}):
        with pytest.raises(ConfigError, match=r"^steer was given floor=[^\n]*; write a [^\n]*number[^\n]*\.$"):
            check_number("steer", "floor", value, **limits)


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        ({}, [-1e300, 0, 3], [], ""),
        ({"at_least": 0}, [0, 0.0, 7], [-1e-9], "write a number of at least 0."),
        ({"above": 0}, [1e-9], [0, -1], "write a number above 0."),
        ({"at_least": 0, "at_most": 1}, [0, 1, 0.5], [-0.1, 1.1], "write a number from 0 to 1."),
        ({"above": 0, "at_most": 1}, [1, 0.5], [0, 1.1], "write a number above 0, at most 1."),
        ({"above": 0, "below": 1}, [0.5], [0, 1], "write a number between 0 and 1."),
        ({"at_least": 1, "below": 2}, [1, 1.9], [0.9, 2], "write a number of at least 1, below 2."),
    ],
)
def test_ends_belong_to_a_range_or_not(limits, inside, outside, words):
    for value in inside:
        check_number("it", "size", value, **limits)
    for value in outside:
        with pytest.raises(ConfigError) as error:
            check_number("it", "size", value, **limits)
        assert str(error.value) == f"it was given size={value!r}; {words}"


@pytest.mark.parametrize("value", [*NO_NUMBERS, 1.0, 0, -3], ids=lambda value: show(value, 20))
def test_counts_are_whole_numbers(value):
    check_count("it", "k", 1)
    check_count("it", "k", 0, 0)
    check_count("it", "k", 9, largest=9)
    with pytest.raises(ConfigError, match=r"k=10; write a whole number from 1 to 9\.$"):
        check_count("it", "k", 10, largest=9)
    with pytest.raises(ConfigError, match=r"^it was given k=.*; write a whole number of at least 1\.$"):
        check_count("it", "k", value)


@pytest.mark.parametrize(
    ("check", "taken", "refused", "words"),
    [
        (check_flag, [True, False], [0, 1, None, "yes", math.nan, []], "write true or false"),
        (
            partial(check_choice, allowed=("all", "correct")),
            ["all"],
            ["wrong", "", None, 3, [], {}],
            "Allowed: all",
        ),
        (partial(check_choice, allowed=("all", "correct")), ["correct"], ["corect"], "Did you mean 'correct'"),
        (check_text, ["x"], ["", "  \n", None, 3, ["x"]], "write a text that is not empty"),
    ],
)
def test_flags_choices_and_texts(check, taken, refused, words):
    for value in taken:
        check("it", "part", value)
    for value in refused:
        with pytest.raises(ConfigError, match=words):
            check("it", "part", value)


def test_a_sentence_stays_short_whatever_was_given():
    for check in (check_number, check_count, check_flag, check_text):
        with pytest.raises(ConfigError) as error:
            check("it", "part", [["a"] * 1000])
        assert len(str(error.value)) < 160
    with pytest.raises(ConfigError) as error:
        check_choice("it", "part", "x" * 100_000, ("all",))
    assert len(str(error.value)) < 160


def test_lists_that_hold_each_other_are_shown_short_and_at_once():
    bomb = ["x"]
    for _ in range(60):
        bomb = [bomb] * 9
    looped: list = []
    looped.append(looped)
    assert show(bomb).startswith("[[[[...], ")
    assert len(show({"name": bomb})) <= 60
    assert show(looped) == "[[[[...]]]]"
    assert show("two\nlines") == r"'two\nlines'"
    assert show([0.5, "a", None, True]) == "[0.5, 'a', None, True]"


def test_names_of_classes_in_recipes():
    assert name_in_recipes(type("EquationSet", (), {})()) == "equation_set"
    assert name_in_recipes(type("EmbeddingPartition", (), {})()) == "embedding"
