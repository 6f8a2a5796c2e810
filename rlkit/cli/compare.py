"""`rlkit compare`: what changed between two evaluations of the same problems."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_DESCRIPTION = """\
Print the differences B - A of two evaluations, paired by problem, each with a 95 % interval over problems and the
p-value of a sign-flip test for that row alone. A run directory stands for the evaluation in its eval/ folder.

  rlkit compare runs/base runs/grpo
  rlkit compare runs/base runs/grpo --json > difference.json
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `compare` to the verbs."""
    parser = subparsers.add_parser(
        "compare",
        help="paired differences between two evaluations",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="DIR_A", help="the evaluation compared against, e.g. of the base model")
    parser.add_argument("b", metavar="DIR_B", help="the other evaluation")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit compare`."""
    from rlkit.evaluation.comparison import compare_runs, read_report

    comparison = compare_runs(read_report(args.a), read_report(args.b))
    if args.json:
        print(json.dumps(comparison, indent=1, ensure_ascii=False))
        return 0
    from rich.console import Console

    # Off a terminal nothing limits the width; rich would assume 80 columns and cut the numbers.
    width = None if sys.stdout.isatty() else 160
    console = Console(highlight=False, width=width)
    console.print(build_table(comparison))
    for note in comparison["notes"]:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)
    return 0


def build_table(comparison: dict[str, Any]) -> Table:
    """Return a comparison as a table, one quantity a row."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    a, b = comparison["a"]["name"], comparison["b"]["name"]
    paired = comparison["num_paired"]
    table = Table(
        title=Text(f"{b} minus {a}, {paired} problems"),
        box=SIMPLE,
        title_justify="left",
        header_style="bold",
        padding=(0, 1, 0, 0),
    )
    for heading in ("", a, b, f"difference [{comparison['level']:.0%} interval]", "p"):
        table.add_column(Text(heading), justify="right" if heading else "left", no_wrap=True)
    rows = {f"pass@{k}": cell for k, cell in comparison["pass_at_k"].items()} | comparison["metrics"]
    for name, cell in rows.items():
        defined = "" if cell["num_defined"] == paired else f" ({cell['num_defined']} problems)"
        table.add_row(name.replace("_", " ") + defined, *_cell_texts(cell))
    return table


def _cell_texts(cell: dict[str, Any]) -> list[str]:
    if cell["difference"] is None:
        return ["", "", "undefined", ""]
    interval = "" if cell["low"] is None else f" [{cell['low']:+.3f}, {cell['high']:+.3f}]"
    p_value = "<0.001" if cell["p_value"] < 0.001 else f"{cell['p_value']:.3f}"
    return [f"{cell['a']:.3f}", f"{cell['b']:.3f}", f"{cell['difference']:+.3f}{interval}", p_value]
