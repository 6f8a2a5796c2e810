from __future__ import annotations

from xml.etree import ElementTree

from rlkit.report.cells import Cell
from rlkit.report.columns import pass_at_column
from rlkit.report.dots import cells_domain, draw_dots, draw_strip

COLUMN = pass_at_column(1)
CELLS = [Cell(0.5, 0.4, 0.6, 9, 9), Cell(None, None, None, 0, 9), None, Cell(0.99, 0.95, 1.0, 9, 9)]


def test_undefined_and_unmeasured_rows_say_so_instead_of_showing_a_dot():
    svg = ElementTree.fromstring(draw_dots("d", ["a", "b", "c", "d"], CELLS, COLUMN, 400))
    assert [t.text for t in svg.iter("text") if t.get("class") == "note"] == ["undefined (0 of 9)", "not measured"]
    assert len([p for p in svg.iter("path") if p.get("class") == "mark"]) == 2


def test_the_axis_stays_within_what_a_probability_can_be():
    low, high = cells_domain(CELLS, COLUMN)
    assert 0.3 < low < 0.4
    assert high == 1.0


def test_a_strip_shows_the_interval_and_the_reference():
    svg = ElementTree.fromstring(draw_strip(1, CELLS[3], CELLS[0], (0.0, 1.0), width=110))
    interval, reference = (
        next(line for line in svg.iter("line") if line.get("class") == kind) for kind in ("interval", "reference-line")
    )
    assert float(reference.get("x1")) == 55
    assert (float(interval.get("x1")), float(interval.get("x2"))) == (100, 105)
