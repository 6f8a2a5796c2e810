"""The section on pass@k: curves with the budgets where the reference overtakes, votes over k, and cover over tau."""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.report.cells import finite_or_none, format_number
from rlkit.report.columns import cover_at_column, maj_at_column, pass_at_column
from rlkit.report.combined import Report
from rlkit.report.curves import MAJ_AT_K, PASS_AT_K, Curve, cover_chart, k_chart
from rlkit.report.frame import Frame
from rlkit.report.layout import Charts, cell_text, figure, legend, numbers, responsive, run_row, section
from rlkit.report.lines import MAX_LABEL, Crossing
from rlkit.report.markup import Markup, join, tag
from rlkit.report.scales import powers_of_two, thin

_SMALL = {
    "wide": Frame(470, 340, left=38, right=12, top=28),
    "narrow": Frame(343, 290, left=36, right=10, top=28),
}
"""Frames of figures that stand side by side where there is room."""


def pass_at_k_section(report: Report, charts: Charts) -> Markup:
    """Return the pass@k curves of all runs, and votes and cover where they were measured."""
    caption = (
        "Chance that at least one of k samples is correct, mean over problems, with 95 % bands. "
        "A curve that starts higher but ends lower solves fewer problems in many tries. "
        "Shaded: k above half the samples, where the estimate of each problem is close to a single yes or no."
    )
    crossings = find_crossings(report)
    if crossings:
        caption += (
            f" k* marks the budget from which {report.names[0]} solves more than a run, with its 95 % interval "
            "(open to the right where resamples do not cross)."
        )
    ks = sorted({k for run in report.runs for k in run.ks})
    passes = over_k(report, charts, PASS_AT_K, ks, caption, crossings=crossings)
    beside = [part for part in (_votes(report, charts), _cover(report, charts)) if part is not None]
    small = tag("div", beside, class_="pair halves" if len(beside) > 1 else "single") if beside else None
    return section("pass-at-k", "Solved in k samples: pass@k", passes, small)


def find_crossings(report: Report) -> list[Crossing]:
    """Return the budgets at which the reference overtakes a run, of every run where it does."""
    found = []
    for slot in range(1, len(report.runs)):
        record = report.comparison(slot).get("crossing") or {}
        at, low, high = (finite_or_none(record.get(key)) for key in ("k_star", "low", "high"))
        if at is not None:
            share = finite_or_none(record.get("share_crossing"))
            found.append(Crossing(slot, report.names[slot], at, low, high, share))
    return found


def over_k(
    report: Report,
    charts: Charts,
    curve: Curve,
    ks: Sequence[int],
    caption: str,
    title: str | None = None,
    crossings: Sequence[Crossing] = (),
) -> Markup:
    """Return the figure of one quantity over k, wide and narrow, with its numbers."""
    ks, chart_id = thin(ks), curve.column(0).key.replace("@0", "-at-k")
    wide = Frame(900, 440, left=44, right=label_margin(report.names), top=30)
    narrow = Frame(343, 320, left=36, right=10, top=28)
    drawings = responsive(
        charts.lines(k_chart(report, curve, ks, f"{chart_id}-wide", wide, True, crossings)),
        join(
            [charts.lines(k_chart(report, curve, ks, f"{chart_id}-narrow", narrow, False, crossings)), legend(report)]
        ),
    )
    columns = [curve.column(int(k)) for k in powers_of_two(max(ks))]
    crossed = {crossing.slot: describe_crossing(crossing) for crossing in crossings}
    rows = (
        run_row(
            report,
            i,
            [
                *(cell_text(run.cell(c.key), c.digits) for c in columns),
                *([crossed.get(i, "–")] if crossings else []),
            ],
        )
        for i, run in enumerate(report.runs)
    )
    head = ["Run", *(column.title for column in columns), *(["k*"] if crossings else [])]
    return figure(title, caption, drawings, numbers(head, rows))


def describe_crossing(crossing: Crossing) -> str:
    """Return k* with its interval and how many resamples cross, in words."""
    low, high = (format_number(end, 1) if end is not None else "open" for end in (crossing.low, crossing.high))
    share = "" if crossing.share is None else f", in {crossing.share:.0%} of resamples"
    return f"{format_number(crossing.at, 1)} [{low}, {high}]{share}"


def label_margin(names: Sequence[str]) -> float:
    """Return the right margin in which the names of all runs fit."""
    return 26 + 7.6 * min(max(len(name) for name in names), MAX_LABEL)


def _votes(report: Report, charts: Charts) -> Markup | None:
    ks = sorted({k for run in report.runs for k in run.computed_ks("maj")})
    if len(ks) < 2:
        return None
    caption = (
        "Chance that the most frequent answer among k samples is correct (ties split). "
        "Faint lines: pass@k of the same run; the gap is what is found but not agreed on."
    )
    drawings = responsive(
        *(
            charts.lines(k_chart(report, MAJ_AT_K, ks, f"maj-at-k-{suffix}", frame, False, behind=pass_at_column))
            for suffix, frame in _SMALL.items()
        )
    )
    columns = [maj_at_column(k) for k in ks]
    rows = (
        run_row(report, i, (cell_text(run.cell(column.key), 3) for column in columns))
        for i, run in enumerate(report.runs)
    )
    table = numbers(["Run", *(column.title for column in columns)], rows)
    return figure("Votes: maj@k", caption, drawings, legend(report), table)


def _cover(report: Report, charts: Charts) -> Markup | None:
    taus = sorted({tau for run in report.runs for tau in run.taus}, key=float)
    if len(taus) < 2:
        return None
    caption = (
        "Share of problems solved in at least a share τ of samples. High on the left: many problems solved "
        "now and then; high on the right: many solved reliably."
    )
    drawings = responsive(
        *(charts.lines(cover_chart(report, taus, f"cover-at-tau-{suffix}", frame)) for suffix, frame in _SMALL.items())
    )
    shown = thin_out(taus, 9)
    columns = [cover_at_column(tau) for tau in shown]
    rows = (
        run_row(report, i, (cell_text(run.cell(column.key), 3) for column in columns))
        for i, run in enumerate(report.runs)
    )
    table = numbers(["Run", *(column.title for column in columns)], rows)
    return figure("Breadth: cover@τ", caption, drawings, legend(report), table)


def thin_out(items: Sequence[str], limit: int) -> list[str]:
    """Return at most `limit` items at even distances, first and last among them."""
    if len(items) <= limit:
        return list(items)
    return [items[round(i * (len(items) - 1) / (limit - 1))] for i in range(limit)]
