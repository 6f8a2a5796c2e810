"""`rlkit report DIR [DIR ...] --output FILE.html`: several evaluations as one page, a Markdown table and JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from rlkit.cli.options import add_verdict_options, read_choices, read_gate
from rlkit.terminal import plain

_DESCRIPTION = """\
Compare evaluations of the same problems: pass@k curves, distinct solutions, coverage, training curves and completions
side by side. Writes FILE.html (self-contained), FILE.md and FILE.json, and prints the table.

Of more than four runs each is compared with the first only, which is the base or whichever you name first.

  rlkit report runs/base runs/countdown/darling --output runs/report.html
  rlkit report runs/base runs/sweep/* --margin pass@1=0.01 --k 16 --output runs/sweep.html
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
    add_verdict_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report and print its table."""
    from rich.console import Console

    from rlkit.report import build_report, write_report
    from rlkit.report.terminal import print_report
    from rlkit.report.write import check_output

    check_output(args.output)
    refused = read_gate(args.gate)
    report = build_report(args.directories, read_choices(args))
    paths = write_report(report, args.output)
    console = Console(highlight=False)
    print_report(report, console)
    for path in paths:
        console.print(plain(str(path)), soft_wrap=True)
    words = (report.comparison(slot)["verdict"]["word"] for slot in range(1, len(report.runs)))
    return 1 if any(word in refused for word in words) else 0
