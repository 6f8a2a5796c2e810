"""What sections of the page are made of: cards with captions, wide and narrow drawings, tables of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlkit.report.cells import Cell, format_interval, format_number, format_undefined
from rlkit.report.combined import Report
from rlkit.report.frame import run_class, swatch
from rlkit.report.lines import LineChart, draw, hover
from rlkit.report.markup import Children, Markup, join, tag


@dataclass
class Charts:
    """Line charts drawn so far, with what the script needs to read them out."""

    readouts: dict[str, Any] = field(default_factory=dict)

    def lines(self, chart: LineChart) -> Markup:
        """Draw a line chart and keep its readout."""
        self.readouts[chart.chart_id] = hover(chart)
        return draw(chart)


def section(section_id: str, title: str, *content: Markup | None) -> Markup:
    """Return a section with its heading."""
    return tag("section", tag("h2", title, id=section_id), *content, aria_labelledby=section_id)


def figure(title: str | None, caption: str, *content: Children, class_: str = "card") -> Markup:
    """Return a drawing with its title and a sentence or two on what is seen."""
    return tag("figure", figure_caption(title, caption), *content, class_=class_)


def figure_caption(title: str | None, caption: str) -> Markup:
    """Return title and caption of a figure."""
    return tag("figcaption", tag("h3", title) if title else None, tag("p", caption, class_="caption"))


def responsive(wide: Markup, narrow: Markup) -> Markup:
    """Return two drawings of one thing, of which the width of the window shows one."""
    return join([tag("div", wide, class_="wide-only"), tag("div", narrow, class_="narrow-only")])


def legend(report: Report, slots: Iterable[int] | None = None) -> Markup:
    """Return the marks and names of all runs, or of some, in a row."""
    chosen = range(len(report.runs)) if slots is None else slots
    return tag("ul", (tag("li", swatch(i), report.names[i], class_=run_class(i)) for i in chosen), class_="legend")


def run_header(report: Report, slot: int) -> Markup:
    """Return the cell that names the run of a table's row."""
    return tag("th", swatch(slot), " ", report.names[slot], scope="row")


def numbers(head: Sequence[str], rows: Iterable[Markup], summary: str = "Numbers") -> Markup:
    """Return the numbers behind a chart as a table that opens, for screen readers and for copying."""
    table = tag("table", tag("thead", head_row(head)), tag("tbody", rows))
    return tag("details", tag("summary", summary), tag("div", table, class_="scroll", tabindex="0"))


def head_row(titles: Sequence[str]) -> Markup:
    """Return a table's head; all columns but the first hold numbers."""
    first, *others = titles
    return tag("tr", tag("th", first, scope="col"), (tag("th", t, scope="col", class_="number") for t in others))


def run_row(report: Report, slot: int, cells: Iterable[Children]) -> Markup:
    """Return one run's row of a table of numbers."""
    return tag(
        "tr", run_header(report, slot), (tag("td", cell, class_="number") for cell in cells), class_=run_class(slot)
    )


def cell_text(cell: Cell | None, digits: int, unit: str = "", factor: float = 1.0) -> Markup:
    """Return a number over its interval, or in words why there is none."""
    if cell is None:
        return tag("span", "not measured", class_="quiet")
    if cell.value is None:
        return tag("span", format_undefined(cell), class_="undefined")
    scaled = scale_cell(cell, factor)
    interval = tag("span", format_interval(scaled, digits), class_="interval-text") if cell.has_interval else None
    return join([format_number(scaled.value, digits) + unit, interval])


def scale_cell(cell: Cell, factor: float) -> Cell:
    """Return a cell in another unit."""
    value, low, high = (None if end is None else end * factor for end in (cell.value, cell.low, cell.high))
    return Cell(value, low, high, cell.num_defined, cell.num_total)
