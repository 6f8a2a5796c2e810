"""`rlkit compare BASE RUN [RUN ...]`: paired differences between evaluations, as tables or JSON, with a verdict."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from rlkit.cli.options import add_verdict_options, read_choices, read_gate

_DESCRIPTION = """\
Compare evaluations with that of a base, problem by problem: a verdict by stated rules (docs/comparing.md), the numbers
that decided it, then the differences RUN - BASE with 95 % intervals over problems and p-values, and the problems gained
and lost. A run directory stands for the evaluation in its eval/ folder, and a directory with evaluations at several
temperatures for all of them: of the base they are the front that a run must lie beyond.

  rlkit compare runs/base runs/grpo
  rlkit compare runs/base runs/grpo runs/darling --json > differences.json
  rlkit compare runs/base runs/grpo --margin pass@1=0.01,diversity=0.05 --k 16
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
    parser.add_argument(
        "--all", action="store_true", help="print every measure of diversity, and every run's sentence and tables"
    )
    parser.add_argument("--ids", action="store_true", help="print the ids of all gained and lost problems")
    add_verdict_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit compare`."""
    from rlkit.evaluation.comparing.comparison import compare_several
    from rlkit.evaluation.comparing.models import gather_models, read_model
    from rlkit.evaluation.comparing.paired_texts import compare_texts

    refused = read_gate(args.gate)
    base, runs = gather_models(read_model(args.base), [read_model(directory) for directory in args.runs])
    found = compare_several(base, runs, choices=read_choices(args))
    comparisons = found["comparisons"]
    for comparison, other in zip(comparisons, runs, strict=True):
        if similarity := compare_texts(base, other):
            comparison["outputs"]["similarity"] = similarity
    if args.json:
        # One run keeps the shape that it has always had.
        print(json.dumps(comparisons[0] if len(comparisons) == 1 else found, indent=1))
    else:
        _print_comparisons(comparisons, args.ids, args.all)
    return 1 if any(comparison["verdict"]["word"] in refused for comparison in comparisons) else 0


def _print_comparisons(comparisons: list[dict[str, Any]], all_ids: bool, all_measures: bool) -> None:
    from rich.console import Console

    from rlkit.report.comparison_table import (
        DETAILED_RUNS,
        build_table,
        build_verdict_table,
        choose_overview,
        describe_comparison,
        describe_front,
        describe_open_front,
        describe_verdict,
    )
    from rlkit.terminal import show_controls

    # Off a terminal nothing limits the width; rich would assume 80 columns and cut the numbers.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    if len(comparisons) > 1:
        console.print(choose_overview(comparisons, console))
    if len(comparisons) > DETAILED_RUNS and not all_measures:
        for line in dict.fromkeys(line for comparison in comparisons for line in describe_open_front(comparison)):
            console.print(show_controls(line), markup=False, soft_wrap=True)
        console.print("(--all prints the sentence and the tables of every run; or compare fewer.)")
        return
    for comparison in comparisons:
        console.print(show_controls(describe_verdict(comparison)), markup=False, soft_wrap=True)
        for line in describe_front(comparison):
            console.print(show_controls(line), markup=False, soft_wrap=True)
    for comparison in comparisons:
        console.print(build_verdict_table(comparison))
        table = build_table(comparison, all_measures)
        # Measured as if there were room: rich would otherwise answer that cut columns fit.
        if console.measure(table, options=console.options.update(max_width=1000)).maximum > console.width:
            table = build_table(comparison, all_measures, for_each_k_alone=True)
        console.print(table)
        for line in describe_comparison(comparison, all_ids, all_measures):
            console.print(show_controls(line), markup=False, soft_wrap=True)
