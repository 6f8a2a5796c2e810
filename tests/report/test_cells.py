from __future__ import annotations

import math

import pytest

from rlkit.report.cells import (
    Cell,
    finite_or_none,
    format_interval,
    format_number,
    format_signed,
    format_undefined,
    read_cell,
)


def test_undefined_is_said_with_its_count_and_never_a_zero():
    cell = read_cell({"value": math.nan, "low": None, "high": None, "num_defined": 0, "num_total": 200})
    assert cell == Cell(None, None, None, 0, 200)
    assert format_number(cell.value, 3) == "undefined"
    assert format_undefined(cell) == "undefined (0 of 200)"


def test_a_missing_entry_is_not_an_undefined_one():
    assert read_cell(None) is None


def test_a_cell_survives_json():
    record = {"value": 0.5, "low": 0.4, "high": 0.6, "num_defined": 9, "num_total": 10}
    assert read_cell(record).as_json() == record


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "0.5", True, [1.0]])
def test_what_is_not_a_finite_number_is_none(value):
    assert finite_or_none(value) is None


@pytest.mark.parametrize(
    ("low", "high", "direction"),
    [(0.01, 0.2, "up"), (-0.2, -0.01, "down"), (-0.1, 0.1, "unclear"), (0.0, 0.0, "unclear"), (None, None, "unclear")],
)
def test_the_direction_of_a_difference_is_that_of_its_whole_interval(low, high, direction):
    assert Cell(0.1, low, high).direction == direction


@pytest.mark.parametrize(
    ("value", "signed", "plain"),
    [(0.1234, "+0.123", "0.123"), (-0.1234, "−0.123", "−0.123"), (-0.0001, "0.000", "0.000"), (0.0, "0.000", "0.000")],
)
def test_numbers_are_rounded_without_negative_zero(value, signed, plain):
    assert format_signed(value, 3) == signed
    assert format_number(value, 3) == plain


def test_intervals_are_readable_with_negative_ends():
    assert format_interval(Cell(0.1, 0.05, 0.15), 2) == "0.05–0.15"
    assert format_interval(Cell(0.0, -0.05, 0.15), 2) == "−0.05 – 0.15"
    assert format_interval(Cell(0.0, -0.05, 0.15), 2, signed=True) == "[−0.05, +0.15]"
    assert format_interval(Cell(0.5), 2) == ""
