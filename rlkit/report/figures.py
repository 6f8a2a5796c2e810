"""The chart sections of the page: pass@k curves, the quality-diversity plane, dots, training curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlkit.report.cells import Cell, format_interval, format_number, format_undefined
from rlkit.report.columns import Column, pass_at_column, variety_column
from rlkit.report.combined import Report
from rlkit.report.curves import DISTINCT_AT_K, PASS_AT_K, Curve, k_chart, training_chart
from rlkit.report.dots import ROW_HEIGHT, draw_dots
from rlkit.report.frame import Frame, run_class, swatch
from rlkit.report.lines import MAX_LABEL, LineChart, draw, hover
from rlkit.report.markup import Markup, join, tag
from rlkit.report.plane import Point, draw_plane
from rlkit.report.scales import powers_of_two, thin
from rlkit.report.training import series_title


@dataclass
class Figures:
    """Chart sections together with what the script needs to read charts out."""

    readouts: dict[str, Any] = field(default_factory=dict)

    def lines(self, chart: LineChart) -> Markup:
        """Draw a line chart and keep its readout."""
        self.readouts[chart.chart_id] = hover(chart)
        return draw(chart)

    def pass_at_k_section(self, report: Report) -> Markup:
        """Return the pass@k curves of all runs."""
        caption = (
            "Chance that at least one of k samples is correct, mean over problems, with 95 % bands. "
            "A curve that starts higher but ends lower has traded reach for accuracy. "
            "Shaded: k above half the samples, where the estimate of each problem is close to a single yes or no."
        )
        figure = self._over_k(report, PASS_AT_K, sorted({k for run in report.runs for k in run.ks}), caption)
        return _section("pass-at-k", "Reach: pass@k", figure)

    def _over_k(
        self, report: Report, curve: Curve, ks: Sequence[int], caption: str, title: str | None = None
    ) -> Markup:
        ks, chart_id = thin(ks), curve.column(0).key.replace("@0", "-at-k")
        wide = Frame(900, 440, left=44, right=_label_margin(report.names), top=30)
        narrow = Frame(343, 320, left=36, right=10, top=28)
        charts = _responsive(
            self.lines(k_chart(report, curve, ks, f"{chart_id}-wide", wide, has_labels=True)),
            join([self.lines(k_chart(report, curve, ks, f"{chart_id}-narrow", narrow, False)), legend(report)]),
        )
        numbers = _numbers_table(report, [curve.column(int(k)) for k in powers_of_two(max(ks))])
        return _figure(title, caption, charts, numbers)

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
        metrics = [column for column in report.columns if not column.key.startswith("pass@")]
        height = _plane_height(len(metrics), len(report.runs))
        plane = _responsive(
            draw_plane(
                "plane-wide", points, quality, variety, Frame(560, height, left=46, right=24, top=34, bottom=46)
            ),
            draw_plane("plane-narrow", points, quality, variety, Frame(343, 360, left=38, right=12, top=32, bottom=46)),
        )
        caption = (
            "Right is more accurate, up more varied. Crosses are 95 % intervals; dotted lines start at the reference."
        )
        dots = tag("div", (_dots_figure(report, column) for column in metrics), class_="card stack")
        pair = tag("div", _figure("Quality-diversity plane", caption, plane), dots, class_="pair")
        return _section("variety", "Accuracy and variety", pair, self._distinct_figure(report))

    def _distinct_figure(self, report: Report) -> Markup | None:
        ks = sorted({k for run in report.runs for k in run.computed_ks("distinct")})
        if len(ks) < 2:
            return None
        caption = (
            "Expected number of different correct solutions among k samples of a problem. A curve that flattens early "
            "repeats itself."
        )
        return self._over_k(report, DISTINCT_AT_K, ks, caption, "Distinct correct solutions over k")

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
        caption = (
            f"Logged while training {', '.join(names)}; bold lines are moving averages, faint ones what was logged."
        )
        head = [tag("p", caption, class_="caption"), legend(report, only_trained=True)]
        return _section("training", "Training", *head, tag("div", panels, class_="panels"))


def _dots_figure(report: Report, column: Column) -> Markup:
    cells = [run.cell(column.key) for run in report.runs]

    def at(width: float) -> Callable[[str], Markup]:
        return lambda suffix: draw_dots(f"dots-{column.key}-{suffix}", report.names, cells, column, width)

    charts = _responsive(at(460)("wide"), at(343)("narrow"))
    return tag("figure", _caption(column.title, column.note), charts)


def legend(report: Report, only_trained: bool = False) -> Markup:
    """Return the runs' marks and names in a row."""
    items = [
        tag("li", swatch(i), run.name, class_=run_class(i))
        for i, run in enumerate(report.runs)
        if run.training or not only_trained
    ]
    return tag("ul", items, class_="legend")


def _plane_height(num_metrics: int, num_runs: int) -> float:
    """Return a height that lets the plane end about where the dots beside it end."""
    beside = num_metrics * (ROW_HEIGHT * num_runs + 110)
    return min(max(0.98 * beside - 90, 440.0), 760.0)


def _label_margin(names: Sequence[str]) -> float:
    return 26 + 7.6 * min(max(len(name) for name in names), MAX_LABEL)


def _numbers_table(report: Report, columns: Sequence[Column]) -> Markup:
    """The numbers behind a chart, for screen readers and for copying."""
    head = tag("tr", tag("th", "Run", scope="col"), (tag("th", c.title, scope="col", class_="number") for c in columns))
    rows = [
        tag(
            "tr",
            tag("th", swatch(i), " ", run.name, scope="row"),
            (tag("td", _number(run.cell(c.key), c), class_="number") for c in columns),
            class_=run_class(i),
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


def _figure(title: str | None, caption: str, *content: Markup) -> Markup:
    return tag("figure", _caption(title, caption), *content, class_="card")


def _caption(title: str | None, caption: str) -> Markup:
    return tag("figcaption", tag("h3", title) if title else None, tag("p", caption, class_="caption"))


def _section(section_id: str, title: str, *content: Markup | None) -> Markup:
    return tag("section", tag("h2", title, id=section_id), *content, aria_labelledby=section_id)
