"""The section on accuracy and diversity: the plane, one picture per measure of diversity, distinct solutions over k."""

from __future__ import annotations

from collections.abc import Callable

from rlkit.report.columns import Column, diversity_column, pass_at_column
from rlkit.report.combined import Report
from rlkit.report.curves import DISTINCT_AT_K
from rlkit.report.dots import ROW_HEIGHT, draw_dots
from rlkit.report.frame import Frame
from rlkit.report.fronts import plane_points, temperatures_table
from rlkit.report.layout import Charts, figure, figure_caption, responsive, section
from rlkit.report.losses import losses_figure
from rlkit.report.markup import Markup, tag
from rlkit.report.pass_at_k import over_k
from rlkit.report.plane import draw_plane
from rlkit.report.retained import retained_figure


def diversity_section(report: Report, charts: Charts) -> Markup | None:
    """Return the quality-diversity plane and everything that measures diversity; None when nothing does."""
    parts = [_plane_and_dots(report), _distinct_figure(report, charts), retained_figure(report), losses_figure(report)]
    if not any(parts):
        return None
    return section("diversity", "Accuracy and diversity", *parts)


def _plane_and_dots(report: Report) -> Markup | None:
    diversity = diversity_column(report.columns)
    if diversity is None:
        return None
    metrics = [column for column in report.columns if not column.key.startswith("pass@")]
    dots = tag("div", (_dots_figure(report, column) for column in metrics), class_="card stack")
    plane = _plane(report, diversity, _plane_height(len(metrics), len(report.runs)))
    return tag("div", plane, dots, class_="pair")


def _plane(report: Report, diversity: Column, height: float) -> Markup:
    quality = pass_at_column(1)
    points, fronts = plane_points(report, quality, diversity)
    wide = Frame(560, height, left=46, right=24, top=34, bottom=46)
    narrow = Frame(343, 360, left=38, right=12, top=32, bottom=46)
    drawings = responsive(
        draw_plane("plane-wide", points, quality, diversity, wide, fronts),
        draw_plane("plane-narrow", points, quality, diversity, narrow, fronts),
    )
    caption = "Right is more accurate, up more varied. Crosses are 95 % intervals; dotted lines start at the reference."
    if fronts:
        caption += (
            " Solid lines join one model at several temperatures T. A run that lies below the reference's line has "
            "nothing that the reference does not have at a lower temperature."
        )
    passes = [column for column in report.columns if column.key.startswith("pass@")]
    return figure("Quality-diversity plane", caption, drawings, temperatures_table(report, [*passes, diversity]))


def _distinct_figure(report: Report, charts: Charts) -> Markup | None:
    ks = sorted({k for run in report.runs for k in run.computed_ks("distinct")})
    if len(ks) < 2:
        return None
    caption = (
        "Expected number of different correct solutions among k samples of a problem. A curve that flattens early "
        "repeats itself."
    )
    return over_k(report, charts, DISTINCT_AT_K, ks, caption, "Distinct correct solutions over k")


def _dots_figure(report: Report, column: Column) -> Markup:
    cells = [run.cell(column.key) for run in report.runs]

    def at(width: float) -> Callable[[str], Markup]:
        return lambda suffix: draw_dots(f"dots-{column.key}-{suffix}", report.names, cells, column, width)

    drawings = responsive(at(460)("wide"), at(343)("narrow"))
    return tag("figure", figure_caption(column.title, column.note), drawings)


def _plane_height(num_metrics: int, num_runs: int) -> float:
    """Return a height that lets the plane end about where the dots beside it end."""
    beside = num_metrics * (ROW_HEIGHT * num_runs + 110)
    return min(max(0.98 * beside - 90, 440.0), 760.0)
