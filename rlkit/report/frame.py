"""The frame of a chart: size, margins, axes, grid, and the mark that stands for a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkit.report.cells import MINUS
from rlkit.report.markup import Children, Markup, join, tag
from rlkit.report.scales import Scale

NUM_COLOURS = 8
"""Runs beyond this many share colours with earlier ones, never with the reference, and differ from them in shape."""

_MARKS = (
    "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0Z",  # circle
    "M-4,-4H4V4H-4Z",  # square
    "M0,-5.2L5,3.8H-5Z",  # triangle up
    "M0,-5.6L5.2,0L0,5.6L-5.2,0Z",  # diamond
    "M0,5.2L5,-3.8H-5Z",  # triangle down
    "M-1.7,-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7Z",  # plus
    "M0,-5.4L5.1,-1.7L3.2,4.4H-3.2L-5.1,-1.7Z",  # pentagon
    "M-5,-3.4L-3.4,-5L0,-1.6L3.4,-5L5,-3.4L1.6,0L5,3.4L3.4,5L0,1.6L-3.4,5L-5,3.4L-1.6,0Z",  # cross
)


@dataclass(frozen=True)
class Frame:
    """A drawing area in pixels with margins for axes and labels."""

    width: float
    height: float
    left: float = 46
    right: float = 14
    top: float = 14
    bottom: float = 44

    def x_scale(self, low: float, high: float, is_log2: bool = False) -> Scale:
        """Return the scale from data to horizontal pixels."""
        return Scale(low, high, self.left, self.width - self.right, is_log2)

    def y_scale(self, low: float, high: float) -> Scale:
        """Return the scale from data to vertical pixels (upwards)."""
        return Scale(low, high, self.height - self.bottom, self.top)

    def svg(self, chart_id: str, title: str, description: str, *children: Children, class_: str = "") -> Markup:
        """Return the `<svg>` element, named and described for those who cannot see it."""
        names = (f"{chart_id}-title", f"{chart_id}-desc")
        return tag(
            "svg",
            tag("title", title, id=names[0]),
            tag("desc", description, id=names[1]),
            *children,
            id=chart_id,
            class_=f"chart {class_}".strip(),
            viewBox=f"0 0 {self.width:g} {self.height:g}",
            width=f"{self.width:g}",
            height=f"{self.height:g}",
            role="img",
            aria_labelledby=" ".join(names),
        )

    def axes(
        self,
        x: Scale,
        y: Scale,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_title: str | None = None,
        y_title: str | None = None,
        has_x_grid: bool = False,
    ) -> Markup:
        """Return horizontal grid lines, tick labels and axis titles; vertical grid lines where asked."""
        bottom = self.height - self.bottom
        parts = []
        for value, label in zip(y_ticks, tick_labels(y_ticks), strict=True):
            at = y(value)
            parts.append(line(self.left, at, self.width - self.right, at, class_="grid"))
            parts.append(tag("text", label, x=self.left - 8, y=at + 4.0, class_="tick", text_anchor="end"))
        for value, label in zip(x_ticks, tick_labels(x_ticks), strict=True):
            at = x(value)
            parts.append(
                line(at, self.top if has_x_grid else bottom, at, bottom + (0 if has_x_grid else 4), class_="grid")
            )
            parts.append(tag("text", label, x=at, y=bottom + 18, class_="tick", text_anchor="middle"))
        if x_title:
            middle = (self.left + self.width - self.right) / 2
            parts.append(tag("text", x_title, x=middle, y=bottom + 37, class_="axis-title", text_anchor="middle"))
        if y_title:
            parts.append(tag("text", y_title, x=0, y=max(self.top - 10.0, 10.0), class_="axis-title"))
        return tag("g", join(parts), class_="axes", aria_hidden="true")


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Return labels with just as many decimals as the finest tick needs."""
    digits = next(
        (d for d in range(6) if all(abs(round(t, d) - t) < 1e-9 * max(1.0, abs(t)) for t in ticks)),
        6,
    )
    return [f"{tick:.{digits}f}".replace("-", MINUS) for tick in ticks]


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> Markup:
    """Return a straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def mark(slot: int, x: float, y: float, size: float = 1.0, **attributes: object) -> Markup:
    """Return the mark of the run in `slot`: its shape, so that colour is never the only sign."""
    transform = f"translate({x:.2f} {y:.2f})" + ("" if size == 1.0 else f" scale({size:g})")
    return tag("path", d=_MARKS[slot % len(_MARKS)], transform=transform, class_="mark", **attributes)


def swatch(slot: int) -> Markup:
    """Return a small picture of a run's mark, for legends and tables."""
    return tag(
        "svg",
        mark(slot, 7, 7),
        class_=run_class(slot, "swatch"),
        viewBox="0 0 14 14",
        width="14",
        height="14",
        aria_hidden="true",
    )


def run_class(slot: int, *others: str) -> str:
    """Return the classes that give an element its run's colour and let it be dimmed."""
    return " ".join([*others, "run", f"run-{colour(slot)}"])


def colour(slot: int) -> int:
    """Return which of the page's colours the run in `slot` has; the first is the reference's alone."""
    return slot if slot == 0 else 1 + (slot - 1) % (NUM_COLOURS - 1)


def path_data(points: Sequence[tuple[float, float | None]]) -> str:
    """Return an SVG path through the points, broken where y is None."""
    parts, is_down = [], False
    for x, y in points:
        if y is None:
            is_down = False
            continue
        parts.append(f"{'L' if is_down else 'M'}{x:.1f},{y:.1f}")
        is_down = True
    return "".join(parts)


def band_data(points: Sequence[tuple[float, float | None, float | None]]) -> str:
    """Return closed SVG areas between (x, low, high), one per stretch where both ends are known."""
    parts: list[str] = []
    stretch: list[tuple[float, float, float]] = []
    for x, low, high in [*points, (0.0, None, None)]:
        if low is not None and high is not None:
            stretch.append((x, low, high))
            continue
        if len(stretch) > 1:
            upper = "L".join(f"{px:.1f},{ph:.1f}" for px, _, ph in stretch)
            lower = "L".join(f"{px:.1f},{pl:.1f}" for px, pl, _ in reversed(stretch))
            parts.append(f"M{upper}L{lower}Z")
        stretch = []
    return "".join(parts)
