"""The section on the models' distributions, from what `rlkit probe` measured: entropy, branching, KL, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.report.cells import Cell, finite_or_none, format_number, read_cell
from rlkit.report.columns import Column
from rlkit.report.combined import Report
from rlkit.report.dots import draw_dots
from rlkit.report.frame import Frame
from rlkit.report.layout import Charts, cell_text, figure, figure_caption, head_row, legend, numbers, run_row, section
from rlkit.report.lines import LineChart, Series
from rlkit.report.markup import Children, Markup, tag
from rlkit.report.scales import nice_domain, nice_ticks, powers_of_two


@dataclass(frozen=True)
class Quantity:
    """One number of probe.json and how it is shown."""

    column: Column
    path: tuple[str, ...]


QUANTITIES = (
    Quantity(
        Column(
            "token-entropy",
            "Token entropy, probed (nats)",
            "",
            "Of the next token, at temperature 1, mean over tokens.",
            3,
        ),
        ("token_entropy",),
    ),
    Quantity(
        Column(
            "branching", "Branching factor", "", "Choices a token: exp of the entropy per token of a completion.", 3
        ),
        ("branching_factor",),
    ),
    Quantity(
        Column("top-mass", "Mass of the 10 likeliest tokens", "", "1 where ten tokens are all there is.", 4),
        ("top_k", "mass"),
    ),
    Quantity(
        Column("kl-from", "KL(model ‖ base), nats a token", "", "Exact, on the model's own samples.", 4),
        ("kl_from_base", "per_token"),
    ),
    Quantity(
        Column("kl-to", "KL(base ‖ model), nats a token", "", "Exact, on the base's samples: what was given up.", 4),
        ("kl_to_base", "per_token"),
    ),
)


def distribution_section(report: Report, charts: Charts) -> Markup | None:
    """Return the section; None when no run was probed."""
    if not any(run.probe for run in report.runs):
        return None
    found = [(quantity, probe_cells(report, quantity)) for quantity in QUANTITIES]
    shown = [(quantity, cells) for quantity, cells in found if any(cells)]
    dots = [_dots(report, quantity, cells) for quantity, cells in shown]
    rows = (
        run_row(report, i, (cell_text(cells[i], q.column.digits) for q, cells in shown))
        for i in range(len(report.runs))
    )
    table = numbers(["Run", *(q.column.title for q, _ in shown)], rows)
    head = tag(
        "p", "What each model's next-token distribution looks like where it answers these problems.", class_="caption"
    )
    last = [part for part in (_curve(report, charts), _sparsity(report)) if part]
    pair = tag("div", last, class_="pair halves" if len(last) > 1 else "single") if last else None
    return section("distribution", "Distributions", head, tag("div", dots, class_="panels"), pair, table)


def probe_cells(report: Report, quantity: Quantity) -> list[Cell | None]:
    """Return one number of every run's probe.json; None where it was not measured."""
    return [read_cell(_at(run.probe, quantity.path)) for run in report.runs]


def _at(record: Any, path: Sequence[str]) -> Any:
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    return record


def _dots(report: Report, quantity: Quantity, cells: Sequence[Cell | None]) -> Markup:
    column = quantity.column
    drawing = draw_dots(f"probe-{column.key}", report.names, cells, column, 343)
    return tag("figure", figure_caption(column.title, column.note), drawing, class_="panel")


def _curve(report: Report, charts: Charts) -> Markup | None:
    curves = [_points(run.probe) for run in report.runs]
    xs = sorted({x for curve in curves for x in curve})
    if len(xs) < 2:
        return None
    caption = (
        "Branching factor of the first t tokens: where the choices are made. Positions few samples reach are noisy."
    )
    series = [Series(i, run.name, [curves[i].get(x) for x in xs]) for i, run in enumerate(report.runs) if curves[i]]
    chart = _line_chart(
        "probe-curve", "Branching factor over position", xs, series, "token", "token position t (log scale)"
    )
    return figure("Branching over position", caption, charts.lines(chart), legend(report), class_="panel")


def _points(probe: Mapping[str, Any]) -> dict[float, float]:
    """Return the curve by position: entries are numbers in order of position, or `{"position", "value"}`."""
    entries = _at(probe, ("branching_factor", "curve")) or []
    found = {}
    for i, entry in enumerate(entries, start=1):
        at, value = (entry.get("position"), entry.get("value")) if isinstance(entry, Mapping) else (i, entry)
        if (x := finite_or_none(at)) and (y := finite_or_none(value)) is not None:
            found[x] = y
    return found


def _line_chart(
    chart_id: str, title: str, xs: Sequence[float], series: Sequence[Series], x_name: str, x_title: str
) -> LineChart:
    shown = [y for s in series for y in s.ys if y is not None]
    limits = nice_domain(shown, pad=0.08)
    described = "; ".join(f"{s.name} from {_end(s.ys)} to {_end(s.ys[::-1])}" for s in series)
    frame = Frame(340, 220, left=44, right=12, top=12, bottom=46)
    ticks = [x for x in powers_of_two(xs[-1]) if x >= xs[0]]
    return LineChart(
        chart_id,
        title,
        described,
        frame,
        xs,
        series,
        limits,
        ticks if len(ticks) <= 8 else ticks[::2],
        nice_ticks(*limits, 4),
        x_name,
        x_title,
        is_log2=True,
    )


def _end(values: Sequence[float | None]) -> str:
    return format_number(next((v for v in values if v is not None), None), 3)


def _sparsity(report: Report) -> Markup | None:
    shares = {i: _at(run.probe, ("update", "sparsity")) for i, run in enumerate(report.runs)}
    shares = {i: found for i, found in shares.items() if isinstance(found, Mapping) and found}
    if not shares:
        return None
    tolerances = sorted({t for found in shares.values() for t in found}, key=float)
    rows = [run_row(report, i, (_percent(found.get(t)) for t in tolerances)) for i, found in shares.items()]
    head = [
        "Run",
        *(
            "unchanged" if float(t) == 0 else f"≤ {float(t):.0e}".replace("e-0", "e\N{NON-BREAKING HYPHEN}")
            for t in tolerances
        ),
    ]
    return figure(
        "Update sparsity",
        "Share of the weights that training left as they were in the base, exactly or by at most 1e-8 and so on.",
        tag("div", _table(head, rows), class_="scroll", tabindex="0"),
        class_="panel",
    )


def _percent(share: Any) -> Children:
    value = finite_or_none(share)
    return tag("span", "undefined", class_="undefined") if value is None else f"{value:.1%}"


def _table(head: Sequence[str], rows: Sequence[Markup]) -> Markup:
    return tag("table", tag("thead", head_row(head)), tag("tbody", rows))
