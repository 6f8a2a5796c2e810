"""The headline as a Markdown table, for pull requests and logs."""

from __future__ import annotations

from rlkit.report.cells import Cell, format_interval, format_number, format_signed, format_undefined
from rlkit.report.columns import Column
from rlkit.report.combined import Report
from rlkit.report.layout import scale_cell
from rlkit.report.losses import describe_loss, read_losses
from rlkit.report.pass_at_k import describe_crossing, find_crossings
from rlkit.report.retained import retained_cells
from rlkit.report.support import TITLES as SUPPORT_TITLES
from rlkit.report.support import support_texts, supports
from rlkit.report.verdicts import read_verdict
from rlkit.report.wording import ARROWS, caveats, describe_comparison, difference_interval, measure_title
from rlkit.terminal import show_controls

_MARKS = (
    "Brackets: 95 % intervals over problems. ▲ ▼: the paired difference to the reference is beyond noise, all columns "
    "and runs taken together."
)


def to_markdown(report: Report) -> str:
    """Return the sentence, the table, the verdicts and how to read the marks."""
    lines = ["# Pass@k and diversity", "", _escape(describe_comparison(report)), ""]
    lines += [f"> {_escape(caveat)}\n" for caveat in caveats(report)]
    lines.append(_row(["run", *(column.title for column in report.columns)]))
    lines.append(_row(["---"] + ["---:"] * len(report.columns)))
    for i, name in enumerate(report.names):
        title = f"**{_escape(name)}**" + (" (reference)" if i == 0 and len(report.names) > 1 else "")
        lines.append(_row([title, *(_cell(report, i, column) for column in report.columns)]))
    lines.append("")
    for i, name in enumerate(report.names[1:], start=1):
        changes = report.changes(i)
        numbers = [*map(str, changes.numbers), _escape(changes.describe_kept(report.names[0]))]
        lines.append(f"- **{_escape(name)}**: {'; '.join(filter(None, numbers))}.")
        lines += _verdict(report, i)
    lines += [
        "",
        _MARKS,
        *_crossings(report),
        *_supports(report),
        *_retained(report),
        *_losses(report),
    ]
    return "\n".join(lines) + "\n"


def _verdict(report: Report, i: int) -> list[str]:
    verdict = read_verdict(report.comparison(i))
    if verdict is None:
        return []
    needed = f" {verdict.needed}" if verdict.needed else ""
    return [f"  - Verdict: **{verdict.word}**. {_escape(verdict.sentence)}{_escape(needed)}"]


def _table(title: str, head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    rule = _row(["---"] + ["---:"] * (len(head) - 1))
    return ["", f"## {title}", "", _row(head), rule, *(_row([_escape(cell) for cell in row]) for row in rows)]


def _crossings(report: Report) -> list[str]:
    rows = [[crossing.name, describe_crossing(crossing)] for crossing in find_crossings(report)]
    return _table(f"Budget from which {_escape(report.names[0])} solves more", ["run", "k*"], rows)


def _supports(report: Report) -> list[str]:
    rows = [[report.names[slot], *support_texts(table)] for slot, table in supports(report).items()]
    return _table("Problems solved at all", list(SUPPORT_TITLES), rows)


def _retained(report: Report) -> list[str]:
    cells = retained_cells(report)
    rows = [
        [measure_title(name), *(_percent(by_slot.get(slot)) for slot in range(1, len(report.runs)))]
        for name, by_slot in cells.items()
    ]
    head = ["measure", *(_escape(name) for name in report.names[1:])]
    return _table(f"Diversity retained, % of {_escape(report.names[0])}", head, rows)


def _losses(report: Report) -> list[str]:
    rows = [
        [f"{measure_title(name)}, {report.names[loss.slot]}", describe_loss(loss)]
        for name, losses in read_losses(report).items()
        for loss in losses
    ]
    return _table("Where the loss comes from", ["measure and run", "loss"], rows)


def _percent(cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    if cell.value is None:
        return format_undefined(cell)
    scaled = scale_cell(cell, 100.0)
    return f"{format_number(scaled.value, 0)} ({format_interval(scaled, 0)})"


def _cell(report: Report, i: int, column: Column) -> str:
    cell = report.runs[i].cell(column.key)
    if cell is None:
        return "not measured"
    if cell.value is None:
        return format_undefined(cell)
    text = f"{format_number(cell.value, column.digits)} [{format_interval(cell, column.digits)}]"
    difference = report.difference(i, column)
    return text + (f"<br>{_difference(column, difference)}" if difference else "")


def _difference(column: Column, cell: Cell) -> str:
    if cell.value is None:
        return "difference undefined"
    number = format_signed(cell.value, column.digits)
    return f"{ARROWS[cell.direction]} {number} {difference_interval(column, cell)}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Keep a text from becoming markup, a link or an escape sequence: backslashes before what has a meaning."""
    escaped = "".join(f"\\{c}" if c in "\\|*_`<>[]~$&" else c for c in " ".join(show_controls(text).split()))
    # GitHub makes links of bare addresses too.
    return escaped.replace("://", "\\://").replace("www.", "www\\.")
