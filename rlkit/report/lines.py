"""Line charts with bands, direct labels and the numbers that a hover readout shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.report.cells import format_number
from rlkit.report.frame import Frame, band_data, colour, line, mark, path_data, run_class
from rlkit.report.markup import Markup, join, tag
from rlkit.report.scales import Scale, shorten, spread

MAX_LABEL = 24
"""Characters of a run's name at the end of its line."""


@dataclass(frozen=True)
class Series:
    """One run's line; every sequence is aligned with the chart's `xs`, None where the run has no number."""

    slot: int
    name: str
    ys: Sequence[float | None]
    lows: Sequence[float | None] = ()
    highs: Sequence[float | None] = ()
    raw_ys: Sequence[float | None] = ()
    """Values drawn faintly behind the line: unsmoothed ones, or another quantity of the same run."""


@dataclass(frozen=True)
class Crossing:
    """The x from which the reference's line is above a run's, with its interval; an end that is None is open."""

    slot: int
    name: str
    at: float
    low: float | None = None
    high: float | None = None
    share: float | None = None
    """Share of resamples in which the lines cross."""


@dataclass(frozen=True)
class LineChart:
    """Everything a line chart needs; `draw` and `hover` are pure functions of it."""

    chart_id: str
    title: str
    description: str
    frame: Frame
    xs: Sequence[float]
    series: Sequence[Series]
    y_limits: tuple[float, float]
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    x_name: str
    x_title: str | None = None
    y_title: str | None = None
    is_log2: bool = False
    digits: int = 3
    noisy_from: float | None = None
    """Right of this x the region is shaded as unreliable."""
    noisy_label: str = ""
    has_labels: bool = False
    """Whether the run names stand at the right ends of the lines (the frame needs a wide right margin)."""
    crossings: Sequence[Crossing] = ()
    x_limits: tuple[float, float] | None = None
    """Of the axis, where it is longer than what was measured."""

    @property
    def x_scale(self) -> Scale:
        """The scale from data to horizontal pixels."""
        return self.frame.x_scale(*(self.x_limits or (self.xs[0], self.xs[-1])), self.is_log2)


def draw(chart: LineChart) -> Markup:
    """Return the chart as an `<svg>` element."""
    x = chart.x_scale
    y = chart.frame.y_scale(*chart.y_limits)
    return chart.frame.svg(
        chart.chart_id,
        chart.title,
        chart.description,
        _noisy_region(chart, x),
        chart.frame.axes(x, y, chart.x_ticks, chart.y_ticks, chart.x_title, chart.y_title),
        join(_band(chart, series, x, y) for series in chart.series),
        join(_line(chart, series, x, y) for series in chart.series),
        join(_crossing(chart, crossing, i, x, y) for i, crossing in enumerate(chart.crossings)),
        _end_labels(chart, y) if chart.has_labels else join(()),
        tag("g", class_="cursor", aria_hidden="true"),
        class_="has-readout",
    )


def hover(chart: LineChart) -> dict[str, Any]:
    """Return what the page's script needs to read the chart out: pixels and texts, no further computing."""
    x = chart.x_scale
    y = chart.frame.y_scale(*chart.y_limits)
    return {
        "x": [round(x(value), 1) for value in chart.xs],
        "top": chart.frame.top,
        "bottom": chart.frame.height - chart.frame.bottom,
        "heads": [f"{chart.x_name} {value:.4g}" for value in chart.xs],
        "runs": [
            {
                "colour": colour(series.slot),
                "name": series.name,
                "y": [None if value is None else round(y(value), 1) for value in series.ys],
                "text": [_readout(chart, series, i) for i in range(len(chart.xs))],
            }
            for series in chart.series
        ],
    }


def _readout(chart: LineChart, series: Series, i: int) -> str | None:
    value = series.ys[i]
    if value is None:
        return None
    text = format_number(value, chart.digits)
    if series.lows and series.highs and series.lows[i] is not None and series.highs[i] is not None:
        text += f"  [{format_number(series.lows[i], chart.digits)}, {format_number(series.highs[i], chart.digits)}]"
    return text


def _noisy_region(chart: LineChart, x: Scale) -> Markup:
    if chart.noisy_from is None or chart.noisy_from >= chart.xs[-1]:
        return join(())
    frame, left = chart.frame, x(chart.noisy_from)
    right = frame.width - frame.right
    bottom = frame.height - frame.bottom
    return tag(
        "g",
        tag("rect", x=left, y=float(frame.top), width=right - left, height=bottom - frame.top, class_="noisy"),
        tag("text", chart.noisy_label, x=right - 6, y=bottom - 8.0, class_="note", text_anchor="end"),
        aria_hidden="true",
    )


def _band(chart: LineChart, series: Series, x: Scale, y: Scale) -> Markup | None:
    if not series.lows or not series.highs:
        return None
    ends = zip(chart.xs, series.lows, series.highs, strict=True)
    points = [(x(at), None if low is None else y(low), None if high is None else y(high)) for at, low, high in ends]
    return tag("path", d=band_data(points), class_=run_class(series.slot, "band"))


def _line(chart: LineChart, series: Series, x: Scale, y: Scale) -> Markup:
    def pixels(values: Sequence[float | None]) -> list[tuple[float, float | None]]:
        return [(x(at), None if value is None else y(value)) for at, value in zip(chart.xs, values, strict=True)]

    points = pixels(series.ys)
    marked = set(chart.x_ticks) if chart.is_log2 else set()
    marks = [
        mark(series.slot, px, py, 0.8)
        for at, (px, py) in zip(chart.xs, points, strict=True)
        if py is not None and at in marked
    ]
    faint = tag("path", d=path_data(pixels(series.raw_ys)), class_="faint") if series.raw_ys else None
    return tag("g", faint, tag("path", d=path_data(points), class_="line"), join(marks), class_=run_class(series.slot))


def _crossing(chart: LineChart, crossing: Crossing, i: int, x: Scale, y: Scale) -> Markup | None:
    """A bar for the interval above the x axis, one below the other, and a line up to where the curves meet."""
    left, right = chart.xs[0], chart.xs[-1]
    if not left <= crossing.at <= right:
        return None
    ends = (crossing.low or left, crossing.high or right)
    start, stop = (x(min(max(end, left), right)) for end in ends)
    bottom = chart.frame.height - chart.frame.bottom
    at, level = x(crossing.at), bottom - 30.0 - 15.0 * i
    text = f"k* {format_number(crossing.at, 1)}"
    before = start - 6 > chart.frame.left + 8 * len(text)
    return tag(
        "g",
        line(at, level, at, _meeting(chart, crossing.at, y), class_="crossing-rise"),
        line(start, level, at, level, class_="crossing open" if crossing.low is None else "crossing"),
        line(at, level, stop, level, class_="crossing open" if crossing.high is None else "crossing"),
        mark(crossing.slot, at, level, 0.9),
        tag(
            "text",
            text,
            x=start - 6 if before else stop + 6,
            y=level + 4,
            class_="run-label",
            text_anchor="end" if before else "start",
        ),
        class_=run_class(crossing.slot),
        aria_hidden="true",
    )


def _meeting(chart: LineChart, at: float, y: Scale) -> float:
    """Return the pixel of the reference's line at an x, between the two nearest numbers."""
    known = [(k, value) for k, value in zip(chart.xs, chart.series[0].ys, strict=True) if value is not None]
    below = max((p for p in known if p[0] <= at), default=known[0])
    above = min((p for p in known if p[0] >= at), default=known[-1])
    share = 0.5 if above[0] == below[0] else (at - below[0]) / (above[0] - below[0])
    return y(below[1] + share * (above[1] - below[1]))


def _end_labels(chart: LineChart, y: Scale) -> Markup:
    ends = [(s, next((v for v in reversed(s.ys) if v is not None), None)) for s in chart.series]
    known = [(series, y(value)) for series, value in ends if value is not None]
    frame = chart.frame
    slots = spread([at for _, at in known], 18, frame.top, frame.height - frame.bottom)
    edge = frame.width - frame.right
    labels = [
        tag(
            "g",
            tag("path", d=f"M{edge + 3:.1f},{at:.1f}L{edge + 14:.1f},{slot:.1f}", class_="leader"),
            tag("text", shorten(series.name, MAX_LABEL), x=edge + 19, y=slot + 4.5, class_="run-label"),
            class_=run_class(series.slot),
        )
        for (series, at), slot in zip(known, slots, strict=True)
    ]
    return tag("g", join(labels), aria_hidden="true")
