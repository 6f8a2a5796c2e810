"""`rlkit report DIR [DIR ...] --output FILE.html`: several evaluations as one page, a Markdown table and JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

_DESCRIPTION = """\
Compare evaluations of the same problems: pass@k curves, distinct solutions, coverage, training curves and completions
side by side. Writes FILE.html (self-contained), FILE.md and FILE.json, and prints the table.

  rlkit report runs/base runs/countdown/darling --output runs/report.html
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `report`."""
    parser = subparsers.add_parser(
        "report",
        help="turn evaluations into one page",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "directories",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="what `rlkit eval` wrote, or a run directory with eval/ in it; the first one is the reference",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.html", help="the page to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report and print its table."""
    from rich.console import Console

    from rlkit.report import build_report, write_report
    from rlkit.report.terminal import print_report
    from rlkit.report.write import check_output

    check_output(args.output)
    report = build_report(args.directories)
    paths = write_report(report, args.output)
    console = Console(highlight=False)
    print_report(report, console)
    for path in paths:
        console.print(str(path), soft_wrap=True, markup=False)
    return 0
