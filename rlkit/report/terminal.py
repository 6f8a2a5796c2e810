"""The headline as a table in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlkit.report.cells import format_interval, format_number, format_signed, format_undefined
from rlkit.report.checkpoints import find_drops
from rlkit.report.columns import Column
from rlkit.report.combined import Report
from rlkit.report.comparison_table import DETAILED_RUNS, choose_overview
from rlkit.report.verdicts import read_verdict
from rlkit.report.wording import ARROWS, describe_comparison, difference_tone
from rlkit.terminal import plain, show_controls

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_STYLES = {"better": "bold blue", "worse": "bold red", "changed": "bold", "unclear": "dim"}


def print_report(report: Report, console: Console) -> None:
    """Print the sentence, the table and one line per run with its verdict; of many runs one line each."""
    from rich.text import Text

    console.print(plain(describe_comparison(report)))
    for sentence in find_drops(report.runs):
        console.print(plain(sentence, "bold"))
    if len(report.runs) - 1 > DETAILED_RUNS:
        comparisons = [_named(report, slot) for slot in range(1, len(report.runs))]
        console.print(choose_overview(comparisons, console))
        return
    console.print(to_table(report))
    for i, name in enumerate(report.names[1:], start=1):
        changes, verdict = report.changes(i), read_verdict(report.comparison(i))
        if verdict is None:
            numbers = show_controls("; ".join(map(str, changes.numbers)))
            console.print(Text.assemble(plain(f"{name}: ", "bold"), numbers))
            continue
        console.print(Text.assemble(plain(f"{name}: {verdict.word}. ", "bold"), plain(verdict.sentence)))
        if verdict.command:
            console.print(plain(" ".join(verdict.further), "dim"))
            console.print(plain(f"  {verdict.command}"), soft_wrap=True)
    console.print(
        Text(
            "Second line: 95 % interval. ▲ ▼ paired difference to the reference beyond noise, all columns and runs "
            "taken together; ≈ within it.",
            style="dim",
        )
    )


def _named(report: Report, slot: int) -> dict[str, Any]:
    """Return a comparison whose runs are called as in the report, not by one of their temperatures."""
    comparison = dict(report.comparison(slot))
    for side, at in (("a", 0), ("b", slot)):
        comparison[side] = {**comparison[side], "name": report.names[at]}
    return comparison


def to_table(report: Report) -> Table:
    """Return the headline as a rich table, narrow enough for 80 columns with short run names."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_lines=True, pad_edge=False)
    table.add_column("run", overflow="fold", ratio=None)
    for column in report.columns:
        table.add_column(column.short, justify="right", no_wrap=True)
    for i, name in enumerate(report.names):
        label = plain(name, "bold") + Text("\nreference" if i == 0 and len(report.names) > 1 else "", style="dim")
        table.add_row(label, *(_cell(report, i, column) for column in report.columns), end_section=True)
    return table


def _cell(report: Report, i: int, column: Column) -> Text:
    from rich.text import Text

    cell = report.runs[i].cell(column.key)
    if cell is None:
        return Text("–", style="dim")
    if cell.value is None:
        return Text(format_undefined(cell).replace(" ", "\n", 1), style="yellow")
    digits = min(column.digits, 2)
    text = Text(format_number(cell.value, column.digits), style="bold")
    text.append(f"\n{format_interval(cell, digits)}", style="dim not bold")
    difference = report.difference(i, column)
    if difference is not None and difference.value is not None:
        sign = f"\n{ARROWS[difference.direction]} {format_signed(difference.value, column.digits)}"
        text.append(sign, style=f"not bold {_STYLES[difference_tone(column, difference)]}")
    return text
