"""The chart sections of the page: pass@k curves, the quality-diversity plane, dots, training curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlkit.report.cells import Cell, format_interval, format_number, format_undefined
from rlkit.report.columns import Column, pass_at_column, variety_column
from rlkit.report.combined import Report
from rlkit.report.dots import draw_dots
from rlkit.report.frame import Frame, swatch
from rlkit.report.lines import LineChart, Series, draw, hover
from rlkit.report.markup import Markup, join, tag
from rlkit.report.plane import Point, draw_plane
from rlkit.report.scales import nice_domain, nice_ticks, powers_of_two, thin
from rlkit.report.training import series_title, smooth, smoothing_window


@dataclass
class Figures:
    """Chart sections together with what the script needs to read charts out."""

    readouts: dict[str, Any] = field(default_factory=dict)

    def lines(self, chart: LineChart) -> Markup:
        """Draw a line chart and keep its readout."""
        self.readouts[chart.chart_id] = hover(chart)
        return draw(chart)

    def pass_at_k_section(self, report: Report) -> Markup:
        """Return the pass@k curves of all runs on a log2 axis."""
        ks = thin(sorted({k for run in report.runs for k in run.ks}))
        wide = Frame(900, 440, left=44, right=_label_margin(report.names), top=30)
        narrow = Frame(343, 320, left=36, right=10, top=28)
        charts = _responsive(
            self.lines(pass_at_k_chart(report, ks, "pass-at-k-wide", wide, has_labels=True)),
            self.lines(pass_at_k_chart(report, ks, "pass-at-k-narrow", narrow, has_labels=False)),
        )
        caption = (
            "Chance that at least one of k samples is correct, mean over problems, with 95 % bands. "
            "A curve that starts higher but ends lower has traded reach for accuracy. "
            "Shaded: k above half the samples, where the estimate of each problem is close to a single yes or no."
        )
        table = _numbers_table(report, [pass_at_column(int(k)) for k in powers_of_two(max(ks))])
        return _section("pass-at-k", "pass@k", _figure("Reach: pass@k over k", caption, charts, table))

    def variety_section(self, report: Report) -> Markup | None:
        """Return the quality-diversity plane beside the numbers that measure variety, one row per run."""
        variety = variety_column(report.columns)
        if variety is None:
            return None
        quality = pass_at_column(1)
        points = [
            Point(i, run.name, accuracy, spread)
            for i, run in enumerate(report.runs)
            if (accuracy := run.cell(quality.key)) and (spread := run.cell(variety.key))
        ]
        plane = _responsive(
            draw_plane("plane-wide", points, quality, variety, Frame(560, 500, left=46, right=24, top=34, bottom=46)),
            draw_plane("plane-narrow", points, quality, variety, Frame(343, 360, left=38, right=12, top=32, bottom=46)),
        )
        dots = [_dots_figure(report, column) for column in report.columns if not column.key.startswith("pass@")]
        caption = "Right is more accurate, up is more varied. Crosses are 95 % intervals; thin lines start at the reference."
        return _section(
            "variety",
            "Accuracy and variety",
            tag("div", _figure("Quality-diversity plane", caption, plane), tag("div", dots, class_="stack"), class_="pair"),
        )

    def training_section(self, report: Report) -> Markup | None:
        """Return one small chart per logged series, one line per run; None when no run has a log."""
        keys = list(dict.fromkeys(key for run in report.runs if run.training for key in run.training.series))
        if not keys:
            return None
        panels = [
            tag("figure", tag("figcaption", tag("h3", series_title(key))), self.lines(chart), class_="panel")
            for i, key in enumerate(keys)
            if (chart := training_chart(report, key, f"training-{i}"))
        ]
        names = [run.name for run in report.runs if run.training]
        caption = f"Logged while training {', '.join(names)}; bold lines are moving averages, faint ones the values as logged."
        return _section("training", "Training", tag("p", caption, class_="caption"), tag("div", panels, class_="panels"))


def pass_at_k_chart(report: Report, ks: Sequence[int], chart_id: str, frame: Frame, has_labels: bool) -> LineChart:
    """Return the pass@k chart as data."""
    series = []
    for slot, run in enumerate(report.runs):
        cells = [run.cell(f"pass@{k}") or Cell(None) for k in ks]
        series.append(Series(slot, run.name, *([getattr(c, end) for c in cells] for end in ("value", "low", "high"))))
    smallest_n = min(run.ks[-1] for run in report.runs)
    ticks = powers_of_two(ks[-1])
    return LineChart(
        chart_id,
        "pass@k of every run",
        "; ".join(_describe_curve(report, slot, ks) for slot in range(len(report.runs))),
        frame,
        ks,
        series,
        y_limits=(0.0, 1.0),
        x_ticks=ticks if len(ticks) * 34 < frame.width - frame.left - frame.right else ticks[::2],
        y_ticks=nice_ticks(0.0, 1.0, 5),
        x_name="k =",
        x_title="k, samples a problem (log scale)",
        y_title="pass@k",
        is_log2=True,
        noisy_from=smallest_n / 2,
        noisy_label="k > n/2: noisy",
        has_labels=has_labels,
    )


def training_chart(report: Report, key: str, chart_id: str) -> LineChart | None:
    """Return one logged series of all runs as data; None when there are fewer than two steps."""
    logs = [(slot, run.name, run.training) for slot, run in enumerate(report.runs) if run.training]
    logs = [log for log in logs if key in log[2].series]
    xs = sorted({step for _, _, training in logs for step in training.steps})
    if len(xs) < 2:
        return None
    series = []
    for slot, name, training in logs:
        by_step = dict(zip(training.steps, training.series[key], strict=True))
        values = [by_step[step] for step in training.steps]
        window = smoothing_window(len(values))
        smoothed = dict(zip(training.steps, smooth(values, window), strict=True))
        raw = [by_step.get(x) for x in xs] if window > 1 else ()
        series.append(Series(slot, name, [smoothed.get(x) for x in xs], raw_ys=raw))
    shown = [y for s in series for y in [*s.ys, *s.raw_ys] if y is not None]
    limits = nice_domain(shown, pad=0.06)
    limits = (max(limits[0], 0.0), limits[1]) if min(shown) >= 0 else limits
    title = series_title(key)
    description = "; ".join(f"{s.name} from {_first(s.ys)} to {_first(s.ys[::-1])}" for s in series)
    return LineChart(
        chart_id,
        f"{title} over training steps",
        description,
        Frame(343, 210, left=44, right=12, top=12, bottom=42),
        xs,
        series,
        y_limits=limits,
        x_ticks=nice_ticks(xs[0], xs[-1], 5),
        y_ticks=nice_ticks(*limits, 4),
        x_name="step",
        x_title="step",
    )


def _describe_curve(report: Report, slot: int, ks: Sequence[int]) -> str:
    shown = [k for k in (ks[0], ks[len(ks) // 2], ks[-1])]
    cells = [(k, report.runs[slot].cell(f"pass@{k}")) for k in shown]
    numbers = [f"pass@{k} {format_number(cell.value, 3)}" for k, cell in cells if cell]
    return f"{report.names[slot]}: {', '.join(numbers)}"


def _first(values: Sequence[float | None]) -> str:
    return format_number(next((v for v in values if v is not None), None), 3)


def _dots_figure(report: Report, column: Column) -> Markup:
    cells = [run.cell(column.key) for run in report.runs]

    def at(width: float) -> Callable[[str], Markup]:
        return lambda suffix: draw_dots(f"dots-{column.key}-{suffix}", report.names, cells, column, width)

    charts = _responsive(at(460)("wide"), at(343)("narrow"))
    return _figure(column.title, column.note, charts)


def _label_margin(names: Sequence[str]) -> float:
    return 26 + 7.6 * max(len(name) for name in names)


def _numbers_table(report: Report, columns: Sequence[Column]) -> Markup:
    """The numbers behind a chart, for screen readers and for copying."""
    head = tag("tr", tag("th", "Run", scope="col"), (tag("th", c.title, scope="col", class_="number") for c in columns))
    rows = [
        tag(
            "tr",
            tag("th", swatch(i), " ", run.name, scope="row"),
            (tag("td", _number(run.cell(c.key), c), class_="number") for c in columns),
            class_=f"run run-{i}",
        )
        for i, run in enumerate(report.runs)
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return tag("details", tag("summary", "Numbers"), tag("div", table, class_="scroll", tabindex="0"))


def _number(cell: Cell | None, column: Column) -> Markup:
    if cell is None:
        return tag("span", "not measured", class_="quiet")
    if cell.value is None:
        return tag("span", format_undefined(cell), class_="undefined")
    interval = tag("span", format_interval(cell, column.digits), class_="interval-text")
    return join([format_number(cell.value, column.digits), interval])


def _responsive(wide: Markup, narrow: Markup) -> Markup:
    return join([tag("div", wide, class_="wide-only"), tag("div", narrow, class_="narrow-only")])


def _figure(title: str, caption: str, *content: Markup) -> Markup:
    head = tag("figcaption", tag("h3", title), tag("p", caption, class_="caption"))
    return tag("figure", head, *content, class_="card")


def _section(section_id: str, title: str, *content: Markup) -> Markup:
    return tag("section", tag("h2", title, id=section_id), *content, aria_labelledby=section_id)
