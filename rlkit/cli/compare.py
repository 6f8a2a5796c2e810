"""`rlkit compare BASE RUN [RUN ...]`: paired differences between evaluations, as tables or JSON, with a verdict."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

_DESCRIPTION = """\
Compare evaluations with that of a base, problem by problem: a verdict by stated rules (docs/comparing.md), then the
differences RUN - BASE with 95 % intervals over problems and p-values, and the problems gained and lost. A run directory
stands for the evaluation in its eval/ folder.

  rlkit compare runs/base runs/grpo
  rlkit compare runs/base runs/grpo runs/darling --json > differences.json
  rlkit compare runs/base runs/grpo --gate && ship
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `compare` to the commands."""
    parser = subparsers.add_parser(
        "compare",
        help="what changed between evaluations, paired by problem, and what it shows",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE", help="the evaluation compared against, e.g. of the base model")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="another evaluation of the same problems")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--all", action="store_true", help="print every measure of diversity, not the main ones alone")
    parser.add_argument("--ids", action="store_true", help="print the ids of all gained and lost problems")
    parser.add_argument(
        "--gate",
        action="store_true",
        help="exit with code 1 if the verdict of a run is harmful collapse, shrinkage or regression",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit compare`."""
    from rlkit.evaluation.comparing.comparison import compare_several, read_report
    from rlkit.evaluation.comparing.verdict import FAILING_WORDS

    found = compare_several(read_report(args.base), [read_report(directory) for directory in args.runs])
    comparisons = found["comparisons"]
    if args.json:
        # One run keeps the shape that it has always had.
        print(json.dumps(comparisons[0] if len(comparisons) == 1 else found, indent=1))
    else:
        _print_comparisons(comparisons, args.ids, args.all)
    failed = any(comparison["verdict"]["word"] in FAILING_WORDS for comparison in comparisons)
    return 1 if args.gate and failed else 0


def _print_comparisons(comparisons: list[dict[str, Any]], all_ids: bool, all_measures: bool) -> None:
    from rich.console import Console

    from rlkit.report.comparison_table import build_overview, build_table, describe_comparison, describe_verdict
    from rlkit.terminal import show_controls

    # Off a terminal nothing limits the width; rich would assume 80 columns and cut the numbers.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for comparison in comparisons:
        console.print(show_controls(describe_verdict(comparison)), markup=False, soft_wrap=True)
    if len(comparisons) > 1:
        console.print(build_overview(comparisons))
    for comparison in comparisons:
        table = build_table(comparison, all_measures)
        # Measured as if there were room: rich would otherwise answer that cut columns fit.
        if console.measure(table, options=console.options.update(max_width=1000)).maximum > console.width:
            table = build_table(comparison, all_measures, for_each_k_alone=True)
        console.print(table)
        for line in describe_comparison(comparison, all_ids, all_measures):
            console.print(show_controls(line), markup=False, soft_wrap=True)
