"""How `rlkit explain` draws its list and what a chain makes of groups."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlkit.explaining.tracing import ROUNDING
from rlkit.terminal import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SHOWN = 3
"""Numbers of a vector that are shown."""


def print_list(found: list[dict[str, Any]]) -> None:

    table = start_table()
    for heading in ("preset", "needs", ""):
        table.add_column(heading, overflow="fold")
    for previous, spec in zip([None, *found], found, strict=False):
        if previous is not None and previous["kind"] != spec["kind"]:
            table.add_section()
            table.add_row(*(plain(word, "bold") for word in ("transform", "needs", "")))
        table.add_row(*map(plain, (spec["name"], "\n".join(spec["needs"]), spec["says"])))
    _console(table).print(table)


def print_explanation(explanation: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = build_table(explanation)
    console = _console(table)
    console.print(table)
    groups = explanation["groups"]
    for number, group in enumerate(groups, start=1):
        words = describe_group(group)
        console.print(plain(f"Group {number}: {words}" if len(groups) > 1 else words[0].upper() + words[1:]))
    if any(group["no_signal"] for group in groups):
        console.print(
            plain("A dash among the values is no signal: the trainer leaves that completion out of the loss.")
        )
    if not explanation["stages"]:
        return
    legend = Table.grid(padding=(0, 2, 0, 0))
    for number, stage in enumerate(explanation["stages"], start=1):
        legend.add_row(str(number), Text.assemble(plain(stage["name"], "bold"), plain(f": {stage['says']}")))
    console.print()
    console.print(legend)


def build_table(explanation: dict[str, Any]) -> Table:
    """Return the values as a table: a row a completion, first what was given of it, then each stage."""

    stages = explanation["stages"] or [{"name": "unchanged", "parameters": {}, "values": explanation["advantages"]}]
    facts, groups = explanation["facts"], explanation["groups"]
    table = start_table()
    for heading in ("group", "#") if len(groups) > 1 else ("#",):
        table.add_column(heading, justify="right", no_wrap=True)
    heads = [_head(stage) for stage in stages]
    for heading in (*facts, *heads[:-1], f"{heads[-1]}\n= advantage"):
        table.add_column(plain(heading), justify="right", no_wrap=True)
    for p, advantages in enumerate(explanation["advantages"]):
        for g in range(len(advantages)):
            place = [str(p + 1), str(g + 1)] if len(groups) > 1 else [str(g + 1)]
            given = [_write_fact(column[p][g]) for column in facts.values()]
            passed = [_write_number(stage["values"][p][g]) for stage in stages[:-1]]
            table.add_row(*place, *map(plain, given + passed), _write_advantage(advantages[g]))
        table.add_section()
    return table


def write_table(table: Table) -> None:
    """Print a table as wide as the terminal, or as it needs where there is none."""
    _console(table).print(table)


def start_table() -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    return Table(box=SIMPLE, header_style="bold", padding=(0, 1, 0, 0))


def _console(table: Table) -> Console:
    """Return the console on standard output, no narrower than the table: a wrapped line beats a cut number."""
    from rich.console import Console

    measured = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if measured else 100)
    console.width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).minimum)
    return console


def _head(stage: dict[str, Any]) -> str:
    """Return a stage's heading, a few letters wide: its name broken at underscores, then a line a parameter."""
    lines = [""]
    for part in re.findall(r"[^_]*_?", stage["name"]):
        fits = len(lines[-1]) + len(part) <= 12
        lines = [*lines[:-1], lines[-1] + part] if fits else [*lines, part]
    return "\n".join([*lines, *(f"{name}={_write_fact(value)}" for name, value in stage["parameters"].items())])


def describe_group(group: dict[str, Any]) -> str:
    """Return in words who is pushed where, and how hard the group as a whole is."""
    if group["sum"] is None:
        return "no signal from any completion."
    parts = [
        f"{key.replace('_', ' ')}: {_join(group[key])}"
        for key in ("pushed_up", "pushed_down", "not_pushed", "no_signal")
        if group[key]
    ]
    total = group["sum"]
    whole = "" if abs(total) < 5e-4 else f", so the group as a whole is pushed {'up' if total > 0 else 'down'}"
    return f"{'; '.join(parts)}. Sum of advantages {_write_number(total)}{whole}."


def _join(things: Iterable[Any]) -> str:
    return ", ".join(map(str, things))


def _write_advantage(value: float | None) -> Any:
    from rich.text import Text

    if value is None or abs(value) <= ROUNDING:
        return Text(_write_number(value), style="dim")
    return Text(f"+{_write_number(value)}", "bold blue") if value > 0 else Text(_write_number(value), "bold red")


def _write_number(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) <= ROUNDING:
        return "0.000"
    return f"{value:.3f}" if 5e-4 <= abs(value) < 1e4 else f"{value:.1e}"


def _write_fact(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_write_fact, value[:_SHOWN])) + (" …" if len(value) > _SHOWN else "")
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
