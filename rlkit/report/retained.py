"""How much of the reference's diversity each run has kept, in per cent, by every measure of it."""

from __future__ import annotations

from collections.abc import Mapping

from rlkit.report.cells import Cell, format_interval, format_number, format_undefined, read_cell
from rlkit.report.combined import Report
from rlkit.report.frame import Frame, line, mark, run_class
from rlkit.report.layout import cell_text, figure, legend, numbers, responsive, run_row, scale_cell
from rlkit.report.markup import Markup, join, tag
from rlkit.report.scales import Scale, nice_domain, nice_ticks, shorten
from rlkit.report.wording import leading_measures, measure_title

MAX_DRAWN = 7
"""Measures that are drawn; the others are in the table."""
ROW = 19.0
WIDEST = 250.0
"""Per cent at which the axis ends even where an interval goes on."""

Retained = Mapping[str, Mapping[int, Cell]]
"""Share of the reference's value by measure and run, 1 being as much."""


def retained_cells(report: Report) -> dict[str, dict[int, Cell]]:
    """Return the shares by measure (`NAME`, `all/NAME` or `correct/NAME`) and slot; empty where none was computed."""
    found: dict[str, dict[int, Cell]] = {}
    for slot in range(1, len(report.runs)):
        for name, record in (report.comparison(slot).get("retained") or {}).items():
            cell = read_cell(record)
            if cell is not None:
                found.setdefault(name, {})[slot] = cell
    return {name: cells for name, cells in found.items() if any(cell.value is not None for cell in cells.values())}


def retained_figure(report: Report) -> Markup | None:
    """Return the figure; None where no comparison has such shares."""
    cells = retained_cells(report)
    if not cells:
        return None
    reference = report.names[0]
    caption = (
        f"Each run's diversity in per cent of {reference}'s (dashed: as much), over problems where both are defined, "
        "with 95 % intervals. Less over all outputs alone may be fewer ways of being wrong; less over correct ones is "
        "not."
    )
    slots = range(1, len(report.runs))
    drawn = {name: cells[name] for name in leading_measures(list(cells), MAX_DRAWN)}
    if len(drawn) < len(cells):
        caption += f" {len(cells) - len(drawn)} more measures are in the table."
    drawings = responsive(_draw(report, drawn, 940, "wide"), _draw(report, drawn, 343, "narrow"))
    rows = (run_row(report, slot, (_number(by_slot.get(slot)) for by_slot in cells.values())) for slot in slots)
    table = numbers(["Run", *map(measure_title, cells)], rows)
    return figure(f"Diversity retained of {reference}'s", caption, drawings, legend(report, slots), table)


def _number(cell: Cell | None) -> Markup:
    defined = tag("span", f"{cell.num_defined} of {cell.num_total}", class_="interval-text") if cell else None
    return join([cell_text(cell, 0, " %", 100.0), defined])


def _draw(report: Report, cells: Retained, width: float, suffix: str) -> Markup:
    is_wide, slots = width > 500, range(1, len(report.runs))
    label_width = 300.0 if is_wide else 8.0
    block = ROW * len(slots) + (12.0 if is_wide else 26.0)
    frame = Frame(width, block * len(cells) + 48, left=label_width, right=56, top=6, bottom=42)
    domain = _domain(cells)
    x = frame.x_scale(*domain)
    parts = [
        frame.axes(
            x,
            Scale(0, 1, 0, 1),
            nice_ticks(*domain, 6 if is_wide else 4),
            [],
            f"% of {report.names[0]}",
            has_x_grid=True,
        )
    ]
    parts.append(line(x(100), frame.top, x(100), frame.height - frame.bottom, class_="reference-line"))
    for i, (name, by_slot) in enumerate(cells.items()):
        parts.append(_block(report, name, by_slot, frame.top + i * block, x, frame, is_wide))
    described = "; ".join(
        f"{measure_title(name)}: " + ", ".join(f"{report.names[s]} {_text(c)}" for s, c in by_slot.items())
        for name, by_slot in cells.items()
    )
    return frame.svg(f"retained-{suffix}", "Diversity retained of the reference's", described, parts)


def _block(
    report: Report, name: str, by_slot: Mapping[int, Cell], top: float, x: Scale, frame: Frame, is_wide: bool
) -> Markup:
    slots = range(1, len(report.runs))
    title, height = measure_title(name), ROW * len(slots)
    start = top + (6.0 if is_wide else 20.0)
    at_x, at_y, anchor = (frame.left - 14, start + height / 2 + 4, "end") if is_wide else (0.0, top + 14.0, "start")
    rows = [
        _row(report, slot, title, by_slot.get(slot), start + ROW * (i + 0.5), x, frame) for i, slot in enumerate(slots)
    ]
    rule = line(0, top, frame.width, top, class_="grid") if top > frame.top else None
    shown = shorten(title, 42 if is_wide else 44)
    return tag("g", rule, tag("text", shown, x=at_x, y=at_y, class_="row-label", text_anchor=anchor), rows)


def _row(report: Report, slot: int, title: str, cell: Cell | None, y: float, x: Scale, frame: Frame) -> Markup:
    name = report.names[slot]
    if cell is None or cell.value is None:
        text = "not measured" if cell is None else format_undefined(cell)
        at = frame.left + 8
        words = tag("text", text, x=at + 12, y=y + 4, class_="note")
        return tag("g", mark(slot, at, y, 0.8), words, class_=run_class(slot))
    value, low, high = (None if end is None else 100 * end for end in (cell.value, cell.low, cell.high))
    parts: list[Markup] = []
    if low is not None and high is not None:
        parts.append(line(x(_within(low, x)), y, x(_within(high, x)), y, class_="interval"))
    parts.append(mark(slot, x(_within(value or 0.0, x)), y, 1.0))
    parts.append(
        tag("text", f"{format_number(value, 0)} %", x=frame.width, y=y + 4, class_="tick strong", text_anchor="end")
    )
    return tag(
        "g", join(parts), class_=run_class(slot), data_tip=f"{name}, {title.lower()}: {_text(cell)}", tabindex="0"
    )


def _within(value: float, x: Scale) -> float:
    return min(max(value, x.low), x.high)


def _text(cell: Cell) -> str:
    if cell.value is None:
        return format_undefined(cell)
    scaled = scale_cell(cell, 100.0)
    value, interval = format_number(scaled.value, 0), format_interval(scaled, 0)
    return f"{value} % ({interval}; {cell.num_defined} of {cell.num_total} problems)"


def _domain(cells: Retained) -> tuple[float, float]:
    """Return an axis that holds 100 % and all intervals, as far as WIDEST; below 0 only where a value is."""
    known = [cell for by_slot in cells.values() for cell in by_slot.values()]
    values = [100 * cell.value for cell in known if cell.value is not None]
    ends = [100 * end for cell in known for end in (cell.low, cell.high) if end is not None]
    low, high = nice_domain([*values, *ends], include=[100.0])
    return max(low, min(0.0, *values)), min(high, WIDEST)
