"""Where a loss of diversity comes from: fewer ways of being wrong, or fewer ways of being right."""

from __future__ import annotations

from dataclasses import dataclass

from rlkit.report.cells import Cell, format_interval, format_number, format_signed, read_cell
from rlkit.report.combined import Report
from rlkit.report.frame import Frame, line, run_class, swatch
from rlkit.report.layout import cell_text, figure, numbers
from rlkit.report.markup import Children, Markup, tag
from rlkit.report.scales import Scale, nice_domain, nice_ticks
from rlkit.report.wording import leading_measures, measure_title

MAX_DRAWN = 6
"""Measures that are drawn; the others are in the table."""
ROW = 26.0
_PARTS = ("total", "quality_control", "residual", "rho")


@dataclass(frozen=True)
class Loss:
    """One measure's loss from the reference to a run, split in two; positive where the run has less."""

    slot: int
    total: Cell
    quality_control: Cell
    residual: Cell
    rho: Cell
    num_problems: int


def read_losses(report: Report) -> dict[str, list[Loss]]:
    """Return the losses of all runs by measure; a measure without a defined total in any run is left out."""
    found: dict[str, list[Loss]] = {}
    for slot in range(1, len(report.runs)):
        for name, record in (report.comparison(slot).get("decomposition") or {}).items():
            total, quality, residual, rho = (read_cell(record.get(part)) or Cell(None) for part in _PARTS)
            if total.value is not None:
                num_problems = int(record.get("num_problems") or 0)
                found.setdefault(name, []).append(Loss(slot, total, quality, residual, rho, num_problems))
    return found


def losses_figure(report: Report) -> Markup | None:
    """Return one panel per measure with a bar per run; None where nothing was split."""
    losses = read_losses(report)
    if not losses:
        return None
    caption = (
        "Loss of diversity against the reference, split: light, what went because wrong answers became fewer (quality "
        "control); dark, what went among correct answers (residual). To the left of 0 is a gain. ρ is the "
        "residual's share of the total, undefined where the total is within noise."
    )
    key = tag(
        "ul",
        tag("li", tag("span", class_="key quality"), "quality control"),
        tag("li", tag("span", class_="key residual"), "residual"),
        tag("li", tag("span", class_="key total"), "total with 95 % interval"),
        class_="legend",
    )
    drawn = leading_measures(list(losses), MAX_DRAWN)
    panels = [_panel(report, i, name, losses[name]) for i, name in enumerate(drawn)]
    if len(drawn) < len(losses):
        caption += f" {len(losses) - len(drawn)} more measures are in the table."
    table = numbers(
        ["Measure and run", "Total", "Quality control", "Residual", "ρ", "Problems"],
        [_table_row(report, name, loss) for name, rows in losses.items() for loss in rows],
    )
    return figure("Where the loss comes from", caption, key, tag("div", panels, class_="panels flat"), table)


def _panel(report: Report, i: int, name: str, losses: list[Loss]) -> Markup:
    frame = Frame(343, ROW * len(losses) + 40, left=112, right=78, top=8, bottom=26)
    shown = [v for loss in losses for v in _extent(loss)]
    domain = nice_domain(shown, include=[0.0])
    x = frame.x_scale(*domain)
    ticks = nice_ticks(*domain, 3)
    bars = [_bar(report, loss, frame.top + ROW * (j + 0.5), x, frame) for j, loss in enumerate(losses)]
    zero = line(x(0), frame.top, x(0), frame.height - frame.bottom, class_="zero")
    title = measure_title(name)
    described = "; ".join(f"{report.names[loss.slot]}: {describe_loss(loss)}" for loss in losses)
    drawing = frame.svg(
        f"loss-{i}",
        f"Loss of {title.lower()}",
        described,
        frame.axes(x, Scale(0, 1, 0, 1), ticks, [], has_x_grid=True),
        bars,
        zero,
    )
    return tag("figure", tag("figcaption", tag("h4", title)), drawing, class_="plain")


def _extent(loss: Loss) -> list[float]:
    parts = [loss.quality_control.value or 0.0, loss.residual.value or 0.0]
    stacks = [sum(p for p in parts if p > 0), sum(p for p in parts if p < 0)]
    return [*stacks, *(v for v in (loss.total.low, loss.total.value, loss.total.high) if v is not None)]


def _bar(report: Report, loss: Loss, y: float, x: Scale, frame: Frame) -> Markup:
    """Parts of one sign are stacked away from 0; the total with its interval lies over them."""
    ends, parts = {True: 0.0, False: 0.0}, []
    for kind, cell in (("quality", loss.quality_control), ("residual", loss.residual)):
        value = cell.value or 0.0
        start = ends[value > 0]
        ends[value > 0] = stop = start + value
        left, right = sorted((x(start), x(stop)))
        parts.append(tag("rect", x=left, y=y - 7, width=right - left, height=14.0, class_=f"loss-part {kind}"))
    total = loss.total
    if total.low is not None and total.high is not None:
        parts.append(line(x(total.low), y, x(total.high), y, class_="total-interval"))
    parts.append(tag("circle", cx=x(total.value or 0.0), cy=y, r=3.4, class_="total-mark"))
    rho = "ρ –" if loss.rho.value is None else f"ρ {format_number(loss.rho.value, 2)}"
    name = report.names[loss.slot]
    label = name if len(name) <= 14 else f"{name[:8]}…{name[-5:]}"
    return tag(
        "g",
        tag("text", label, x=0.0, y=y + 4.5, class_="run-label"),
        parts,
        tag("text", rho, x=frame.width, y=y + 4.5, class_="value", text_anchor="end"),
        class_=run_class(loss.slot),
        data_tip=f"{name}: {describe_loss(loss)}",
        tabindex="0",
    )


def describe_loss(loss: Loss) -> str:
    """Return total, parts and rho in words."""

    def signed(cell: Cell) -> str:
        return "undefined" if cell.value is None else format_signed(cell.value, 3)

    rho = (
        "undefined"
        if loss.rho.value is None
        else f"{loss.rho.value:.2f} ({format_interval(loss.rho, 2) or 'no interval'})"
    )
    return (
        f"loss {signed(loss.total)} = {signed(loss.quality_control)} quality control "
        f"{signed(loss.residual)} residual; ρ {rho}; {loss.num_problems} problems"
    )


def _table_row(report: Report, name: str, loss: Loss) -> Markup:
    cells: list[Children] = [cell_text(cell, 3) for cell in (loss.total, loss.quality_control, loss.residual, loss.rho)]
    cells.append(str(loss.num_problems))
    head = tag("th", measure_title(name), ", ", swatch(loss.slot), " ", report.names[loss.slot], scope="row")
    return tag("tr", head, (tag("td", cell, class_="number") for cell in cells), class_=run_class(loss.slot))
