"""The headline as a Markdown table, for pull requests and logs."""

from __future__ import annotations

from rlkit.report.cells import Cell, format_interval, format_number, format_signed, format_undefined
from rlkit.report.columns import Column
from rlkit.report.combined import Report
from rlkit.report.wording import ARROWS, caveats, describe_comparison, difference_interval


def to_markdown(report: Report) -> str:
    """Return the sentence, the table, the readings and how to read the marks."""
    lines = ["# Pass@k and diversity", "", describe_comparison(report), ""]
    lines += [f"> {caveat}\n" for caveat in caveats(report)]
    lines.append(_row(["run", *(column.title for column in report.columns)]))
    lines.append(_row(["---"] + ["---:"] * len(report.columns)))
    for i, name in enumerate(report.names):
        title = f"**{_escape(name)}**" + (" (reference)" if i == 0 and len(report.names) > 1 else "")
        lines.append(_row([title, *(_cell(report, i, column) for column in report.columns)]))
    lines.append("")
    for i, name in enumerate(report.names[1:], start=1):
        reading = report.reading(i)
        numbers = [*map(str, reading.changes), _escape(reading.describe_kept(report.names[0]))]
        lines.append(f"- **{_escape(name)}**: {reading.verdict} ({'; '.join(filter(None, numbers))}).")
    lines += [
        "",
        "Brackets: 95 % intervals over problems. ▲ ▼: that of the paired difference to the reference leaves out 0.",
    ]
    return "\n".join(lines) + "\n"


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
    """Keep names from becoming markup: backslashes before what Markdown and its tables give a meaning."""
    return "".join(f"\\{c}" if c in "\\|*_`<>[]" else c for c in " ".join(text.split()))
