"""The quality-diversity plane: accuracy across, diversity up, one point with a cross of intervals per run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkit.report.cells import Cell, format_interval, format_number
from rlkit.report.columns import Column
from rlkit.report.frame import Frame, line, mark, path_data, run_class
from rlkit.report.markup import Markup, join, tag
from rlkit.report.scales import Scale, nice_domain, nice_ticks, shorten

_LETTER = 7.0
"""Width in pixels reserved for a letter of a label: generous for 13 px sans-serif."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Return the area both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


@dataclass(frozen=True)
class Point:
    """One run in the plane."""

    slot: int
    name: str
    quality: Cell
    diversity: Cell
    temperature: float | None = None
    """Where one model was evaluated at several."""
    is_minor: bool = False
    """A further temperature of a run: a small mark with no cross, labelled by its temperature alone."""


def draw_plane(
    chart_id: str,
    points: Sequence[Point],
    quality: Column,
    diversity: Column,
    frame: Frame,
    fronts: Sequence[Sequence[Point]] = (),
) -> Markup:
    """Return the plane; the first point is the reference from which the others moved.

    Args:
        fronts: points that are one model at rising temperatures; a line joins them.
    """
    known = [p for p in points if p.quality.value is not None and p.diversity.value is not None]
    x_domain, y_domain = (
        _domain([getattr(p, axis) for p in known], column) for axis, column in _axes(quality, diversity)
    )
    x, y = frame.x_scale(*x_domain), frame.y_scale(*y_domain)
    label_boxes = place_labels(known, x, y, frame)
    return frame.svg(
        chart_id,
        f"{quality.title} against {diversity.title.lower()}",
        "; ".join(_describe(point, quality, diversity) for point in known),
        frame.axes(
            x,
            y,
            nice_ticks(*x_domain, 4),
            nice_ticks(*y_domain, 5),
            f"{quality.title} (accuracy) →",
            f"↑ {diversity.title} (diversity)",
            has_x_grid=True,
        ),
        _corners(known[0], x, y, frame) if known else join(()),
        join(_path_from_reference(known[0], point, x, y) for point in known[1:] if point.temperature is None),
        join(_front([point for point in front if point in known], x, y) for front in fronts),
        join(_cross(point, x, y) for point in known if not point.is_minor),
        join(
            _point(point, _label(point, frame), box, x, y, quality, diversity)
            for point, box in zip(known, label_boxes, strict=True)
        ),
        class_="plane",
    )


def place_labels(points: Sequence[Point], x: Scale, y: Scale, frame: Frame) -> list[Box]:
    """Return for each point the place beside it where its name covers least of marks, intervals and other names."""
    taken = [box for box, _ in _corner_notes(points[0], x, y, frame)] if points else []
    taken += [_around(x(_value(p.quality)), y(_value(p.diversity)), 9, 9) for p in points]
    taken += [box for p in points if not p.is_minor for box in _cross_boxes(p, x, y)]
    area = Box(frame.left, frame.top, frame.width, frame.height - frame.bottom)
    placed: list[Box] = []
    for point in points:
        at_x, at_y = x(_value(point.quality)), y(_value(point.diversity))
        candidates = _candidates(at_x, at_y, len(_label(point, frame)) * _LETTER)
        costs = [
            # A name on a line can be read, a name on a name cannot.
            sum(box.overlap(other) for other in taken)
            + 4 * sum(box.overlap(other) for other in placed)
            + 4 * _outside(box, area)
            + 0.01 * i
            for i, box in enumerate(candidates)
        ]
        placed.append(candidates[costs.index(min(costs))])
    return placed


def _candidates(x: float, y: float, width: float) -> list[Box]:
    """Places around a point, nearest first."""
    places = []
    for gap in (0, 14, 28, 42):
        for left in (x + 10 + gap / 2, x - 10 - gap / 2 - width):
            places += [(left, y - 22 - gap), (left, y + 6 + gap)]
        places += [(x - width / 2, y - 26 - gap), (x - width / 2, y + 10 + gap)]
    return [Box(left, top, left + width, top + 16) for left, top in places]


def _outside(box: Box, area: Box) -> float:
    whole = (box.right - box.left) * (box.bottom - box.top)
    return whole - box.overlap(area)


def _cross_boxes(point: Point, x: Scale, y: Scale) -> list[Box]:
    at_x, at_y, boxes = x(_value(point.quality)), y(_value(point.diversity)), []
    if point.quality.low is not None and point.quality.high is not None:
        boxes.append(Box(x(point.quality.low), at_y - 3, x(point.quality.high), at_y + 3))
    if point.diversity.low is not None and point.diversity.high is not None:
        boxes.append(Box(at_x - 3, y(point.diversity.high), at_x + 3, y(point.diversity.low)))
    return boxes


def _around(x: float, y: float, width: float, height: float) -> Box:
    return Box(x - width, y - height, x + width, y + height)


def _axes(quality: Column, diversity: Column) -> tuple[tuple[str, Column], tuple[str, Column]]:
    return ("quality", quality), ("diversity", diversity)


def _domain(cells: Sequence[Cell], column: Column) -> tuple[float, float]:
    values = [v for cell in cells for v in (cell.low, cell.value, cell.high) if v is not None]
    low, high = nice_domain(values, pad=0.14)
    floor, ceiling = column.limits
    return (low if floor is None else max(low, floor)), (high if ceiling is None else min(high, ceiling))


def _corners(reference: Point, x: Scale, y: Scale, frame: Frame) -> Markup:
    """Cross hairs through the reference and, where there is room, what moving into a quadrant means."""
    at_x, at_y = x(_value(reference.quality)), y(_value(reference.diversity))
    right, bottom = frame.width - frame.right, frame.height - frame.bottom
    lines = [
        line(at_x, frame.top, at_x, bottom, class_="reference-line"),
        line(frame.left, at_y, right, at_y, class_="reference-line"),
    ]
    notes = [
        tag("text", text, x=box.right, y=box.bottom - 4, class_="note", text_anchor="end")
        for box, text in _corner_notes(reference, x, y, frame)
    ]
    return tag("g", lines, notes, aria_hidden="true")


def _corner_notes(reference: Point, x: Scale, y: Scale, frame: Frame) -> list[tuple[Box, str]]:
    at_x, at_y = x(_value(reference.quality)), y(_value(reference.diversity))
    right, bottom = frame.width - frame.right - 8, frame.height - frame.bottom
    notes = []
    if right - at_x > 140 and at_y - frame.top > 40:
        notes.append((Box(right - 150, frame.top + 4, right, frame.top + 20), "more accurate, more varied"))
    if right - at_x > 140 and bottom - at_y > 60:
        notes.append((Box(right - 150, bottom - 22, right, bottom - 6), "more accurate, less varied"))
    return notes


def _label(point: Point, frame: Frame) -> str:
    if point.is_minor:
        return f"{point.temperature:g}"
    name = shorten(point.name, int(frame.width / 24))
    return name if point.temperature is None else f"{name}, T {point.temperature:g}"


def _path_from_reference(reference: Point, point: Point, x: Scale, y: Scale) -> Markup:
    ends = [(x(_value(p.quality)), y(_value(p.diversity))) for p in (reference, point)]
    return tag("g", line(*ends[0], *ends[1], class_="trail"), class_=run_class(point.slot), aria_hidden="true")


def _front(points: Sequence[Point], x: Scale, y: Scale) -> Markup | None:
    if len(points) < 2:
        return None
    ends = [(x(_value(point.quality)), y(_value(point.diversity))) for point in points]
    return tag("path", d=path_data(ends), class_=run_class(points[0].slot, "sweep"), aria_hidden="true")


def _cross(point: Point, x: Scale, y: Scale) -> Markup:
    at_x, at_y, arms = x(_value(point.quality)), y(_value(point.diversity)), []
    if point.quality.low is not None and point.quality.high is not None:
        arms.append(line(x(point.quality.low), at_y, x(point.quality.high), at_y, class_="interval"))
    if point.diversity.low is not None and point.diversity.high is not None:
        arms.append(line(at_x, y(point.diversity.low), at_x, y(point.diversity.high), class_="interval"))
    return tag("g", join(arms), class_=run_class(point.slot))


def _point(point: Point, label: str, box: Box, x: Scale, y: Scale, quality: Column, diversity: Column) -> Markup:
    return tag(
        "g",
        mark(point.slot, x(_value(point.quality)), y(_value(point.diversity)), 0.8 if point.is_minor else 1.35),
        tag(
            "text",
            label,
            x=(box.left + box.right) / 2,
            y=box.top + 12.5,
            class_="run-label minor" if point.is_minor else "run-label",
            text_anchor="middle",
        ),
        class_=run_class(point.slot),
        data_tip=_describe(point, quality, diversity),
        tabindex="0",
    )


def _describe(point: Point, quality: Column, diversity: Column) -> str:
    parts = [
        f"{column.title} {format_number(cell.value, column.digits)} ({format_interval(cell, column.digits)})"
        for column, cell in ((quality, point.quality), (diversity, point.diversity))
    ]
    sampled = "" if point.temperature is None else f" at temperature {point.temperature:g}"
    return f"{point.name}{sampled}: {', '.join(parts)}"


def _value(cell: Cell) -> float:
    if cell.value is None:
        raise ValueError("A point of the plane needs both values.")
    return cell.value
