"""The line charts of a report as data: pass@k over k, and logged series over training steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlkit.report.cells import Cell, format_number
from rlkit.report.columns import Column, cover_at_column, distinct_at_column, maj_at_column, pass_at_column
from rlkit.report.combined import Report
from rlkit.report.frame import Frame
from rlkit.report.lines import Crossing, LineChart, Series
from rlkit.report.scales import nice_domain, nice_ticks, powers_of_two
from rlkit.report.training import series_title, smooth, smoothing_window


@dataclass(frozen=True)
class Curve:
    """A quantity that was measured at many k."""

    column: Callable[[int], Column]
    title: str
    y_title: str


PASS_AT_K = Curve(pass_at_column, "pass@k of every run", "pass@k")
MAJ_AT_K = Curve(maj_at_column, "maj@k of every run", "maj@k")
DISTINCT_AT_K = Curve(distinct_at_column, "Distinct correct solutions among k samples", "distinct correct solutions")


def k_chart(
    report: Report,
    curve: Curve,
    ks: Sequence[int],
    chart_id: str,
    frame: Frame,
    has_labels: bool,
    crossings: Sequence[Crossing] = (),
    behind: Callable[[int], Column] | None = None,
) -> LineChart:
    """Return a quantity over k, on a log2 axis, for all runs; another one faintly behind it where asked."""
    series = _series(report, [curve.column(k).key for k in ks], [behind(k).key for k in ks] if behind else ())
    y_limits = _y_limits(series, curve.column(1).limits[1])
    ticks = powers_of_two(ks[-1])
    return LineChart(
        chart_id,
        curve.title,
        "; ".join(_describe_curve(report, curve, slot, ks) for slot in range(len(report.runs))),
        frame,
        ks,
        series,
        y_limits=y_limits,
        x_ticks=ticks if len(ticks) * 34 < frame.width - frame.left - frame.right else ticks[::2],
        y_ticks=nice_ticks(*y_limits, 5),
        x_name="k =",
        x_title="k, samples a problem (log scale)",
        y_title=curve.y_title,
        is_log2=True,
        digits=curve.column(1).digits,
        noisy_from=min((run.ks[-1] for run in report.runs if run.ks), default=math.inf) / 2,
        noisy_label="k > n/2: noisy",
        has_labels=has_labels,
        crossings=crossings,
    )


def cover_chart(report: Report, taus: Sequence[str], chart_id: str, frame: Frame) -> LineChart:
    """Return the share of problems solved in at least a share tau of samples, for all runs."""
    xs = [float(tau) for tau in taus]
    columns = [cover_at_column(tau) for tau in taus]
    ends = (columns[0], columns[len(columns) // 2], columns[-1])
    described = []
    for run in report.runs:
        cells = [(column.title, run.cell(column.key)) for column in ends]
        described.append(f"{run.name}: " + ", ".join(f"{t} {format_number(c.value, 3)}" for t, c in cells if c))
    return LineChart(
        chart_id,
        "cover@tau of every run",
        "; ".join(described),
        frame,
        xs,
        _series(report, [column.key for column in columns]),
        y_limits=(0.0, 1.0),
        x_ticks=[0.0, 0.25, 0.5, 0.75, 1.0] if xs[0] < 0.2 else nice_ticks(xs[0], xs[-1], 5),
        y_ticks=nice_ticks(0.0, 1.0, 5),
        x_name="τ =",
        x_title="τ, share of samples that are correct",
        y_title="share of problems",
        x_limits=(0.0, 1.0),
    )


def _series(report: Report, keys: Sequence[str], behind: Sequence[str] = ()) -> list[Series]:
    series = []
    for slot, run in enumerate(report.runs):
        cells = [run.cell(key) or Cell(None) for key in keys]
        faint = [(run.cell(key) or Cell(None)).value for key in behind]
        values, lows, highs = ([getattr(cell, end) for cell in cells] for end in ("value", "low", "high"))
        series.append(Series(slot, run.name, values, lows, highs, faint))
    return series


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


def _y_limits(series: Sequence[Series], ceiling: float | None) -> tuple[float, float]:
    """Return an axis from 0, or from a tenth below everything where that shows differences better, to the ceiling."""
    shown = [y for s in series for y in [*s.ys, *s.lows, *s.highs, *s.raw_ys] if y is not None] or [0.0]
    if ceiling is None:
        return 0.0, nice_domain(shown, include=[0.0])[1]
    return (math.floor(min(shown) * 10) / 10 if min(shown) > 0.2 * ceiling else 0.0), ceiling


def _describe_curve(report: Report, curve: Curve, slot: int, ks: Sequence[int]) -> str:
    columns = [curve.column(k) for k in (ks[0], ks[len(ks) // 2], ks[-1])]
    cells = [(column, report.runs[slot].cell(column.key)) for column in columns]
    numbers = [f"{column.title} {format_number(cell.value, column.digits)}" for column, cell in cells if cell]
    return f"{report.names[slot]}: {', '.join(numbers)}"


def _first(values: Sequence[float | None]) -> str:
    return format_number(next((v for v in values if v is not None), None), 3)
