"""Dots with intervals, one row per run: for comparing a single number across runs, and tiny ones inside table cells."""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.report.cells import Cell, format_interval, format_number, format_undefined
from rlkit.report.columns import Column
from rlkit.report.frame import Frame, line, mark, run_class, tick_labels
from rlkit.report.markup import Markup, join, tag
from rlkit.report.scales import Scale, nice_domain, nice_ticks, shorten

ROW_HEIGHT = 27.0
_LETTER = 7.2
"""Width in pixels reserved for a letter of a name."""


def draw_dots(
    chart_id: str, names: Sequence[str], cells: Sequence[Cell | None], column: Column, width: float
) -> Markup:
    """Return one row per run; a dashed line marks the first run, the reference."""
    domain = cells_domain(cells, column)
    label_width = min(max((len(name) for name in names), default=0) * _LETTER + 16, width * 0.4)
    frame = Frame(width, ROW_HEIGHT * len(names) + 34, left=label_width, right=66, top=6, bottom=28)
    x, y = frame.x_scale(*domain), Scale(0, 1, frame.top, frame.top + ROW_HEIGHT)
    described = [f"{name} {_text(cell, column)}" for name, cell in zip(names, cells, strict=True)]
    return frame.svg(
        chart_id,
        column.title,
        "; ".join(described),
        frame.axes(x, y, _ticks(domain, width - label_width - frame.right), [], has_x_grid=True),
        _reference_line(cells, x, frame),
        join(
            _row(slot, name, cell, column, x, y(slot + 0.5), frame)
            for slot, (name, cell) in enumerate(zip(names, cells, strict=True))
        ),
    )


def draw_strip(
    slot: int, cell: Cell, reference: Cell | None, domain: tuple[float, float], width: float = 104
) -> Markup:
    """Return a cell-sized picture of a number, its interval and the reference's value, on the scale of its column."""
    scale, middle = Scale(*domain, 5, width - 5), 7.0
    parts: list[Markup] = [line(0, middle, width, middle, class_="grid")]
    if reference is not None and reference.value is not None:
        parts.append(line(scale(reference.value), 0, scale(reference.value), 14, class_="reference-line"))
    if cell.low is not None and cell.high is not None:
        parts.append(line(scale(cell.low), middle, scale(cell.high), middle, class_="interval"))
    if cell.value is not None:
        parts.append(mark(slot, scale(cell.value), middle, 0.8))
    return tag(
        "svg",
        join(parts),
        class_=run_class(slot, "strip"),
        viewBox=f"0 0 {width:g} 14",
        width=f"{width:g}",
        height="14",
        aria_hidden="true",
    )


def cells_domain(cells: Sequence[Cell | None], column: Column) -> tuple[float, float]:
    """Return an axis that holds all values and intervals, within what the quantity can be."""
    values = [v for cell in cells if cell for v in (cell.low, cell.value, cell.high) if v is not None]
    low, high = nice_domain(values, pad=0.08)
    floor, ceiling = column.limits
    return (low if floor is None else max(low, floor)), (high if ceiling is None else min(high, ceiling))


def _ticks(domain: tuple[float, float], room: float) -> list[float]:
    """Return as many ticks as have room for their labels."""
    found = [nice_ticks(*domain, count) for count in (4, 3, 2, 1)]
    return next(
        (ticks for ticks in found if sum(len(label) * 7 + 10 for label in tick_labels(ticks)) <= room), found[-1]
    )


def _reference_line(cells: Sequence[Cell | None], x: Scale, frame: Frame) -> Markup | None:
    reference = cells[0] if cells else None
    if reference is None or reference.value is None:
        return None
    at = x(reference.value)
    return line(at, frame.top, at, frame.height - frame.bottom, class_="reference-line")


def _row(slot: int, name: str, cell: Cell | None, column: Column, x: Scale, y: float, frame: Frame) -> Markup:
    label = shorten(name, int((frame.left - 12) / _LETTER))
    parts = [tag("text", label, x=0, y=y + 4.5, class_="run-label")]
    if cell is None or cell.value is None:
        parts.append(tag("text", _text(cell, column), x=frame.left + 4, y=y + 4.5, class_="note"))
        return tag("g", join(parts), class_=run_class(slot))
    if cell.low is not None and cell.high is not None:
        parts.append(line(x(cell.low), y, x(cell.high), y, class_="interval"))
    parts.append(mark(slot, x(cell.value), y, 1.2))
    value = format_number(cell.value, column.digits)
    parts.append(tag("text", value, x=frame.width, y=y + 4.5, class_="value", text_anchor="end"))
    return tag(
        "g", join(parts), class_=run_class(slot), data_tip=f"{name}: {column.title} {_text(cell, column)}", tabindex="0"
    )


def _text(cell: Cell | None, column: Column) -> str:
    if cell is None:
        return "not measured"
    if cell.value is None:
        return format_undefined(cell)
    return f"{format_number(cell.value, column.digits)} ({format_interval(cell, column.digits)})"
