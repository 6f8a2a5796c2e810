"""`rlkit compare BASE RUN [RUN ...]`: paired differences between evaluations, as tables or JSON, with a verdict."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from rlkit.errors import ConfigError, suggest

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

_DETAILED_RUNS = 3
"""With more runs than this the overview stands alone, unless all is asked for."""


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
    parser.add_argument("--all", action="store_true", help="print every measure of diversity, and every run's table")
    parser.add_argument("--ids", action="store_true", help="print the ids of all gained and lost problems")
    add_verdict_options(parser)
    parser.add_argument(
        "--gate",
        nargs="?",
        const="",
        metavar="WORDS",
        help="exit with code 1 if the verdict of a run is one of these words, such as collapsed,worse,not-settled "
        "(default: collapsed,worse,narrower)",
    )
    parser.set_defaults(run=run)


def add_verdict_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what decides a verdict."""
    parser.add_argument(
        "--margin",
        metavar="NAME=X,...",
        help="changes that matter (default: pass@1=0.02,pass@k=0.02,diversity=0.1,collapse=0.2; the last two are "
        "shares of the base's diversity)",
    )
    parser.add_argument("--k", type=int, help="the k of pass@k that decides (default: half of the samples)")
    parser.add_argument(
        "--diversity",
        metavar="MEASURE",
        help="the measure of diversity that decides (default: coverage of the solution set where it is known, else "
        "different correct solutions)",
    )


def read_choices(args: argparse.Namespace) -> Any:
    """Return what was chosen of the verdict."""
    from rlkit.evaluation.comparing.comparison import Choices
    from rlkit.evaluation.comparing.margins import read_margins

    return Choices(read_margins(args.margin), args.k, args.diversity)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit compare`."""
    from rlkit.evaluation.comparing.comparison import compare_several
    from rlkit.evaluation.comparing.models import gather_models, read_model
    from rlkit.evaluation.comparing.paired_texts import compare_texts

    refused = _refused_words(args.gate)
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


def _refused_words(gate: str | None) -> tuple[str, ...]:
    from rlkit.evaluation.comparing.verdict_rules import REFUSED, WORDS

    if gate is None:
        return ()
    words = tuple(word.strip().replace("-", " ").replace("_", " ") for word in gate.split(",") if word.strip())
    for word in words:
        if word not in WORDS:
            raise ConfigError(f"--gate was given as {word!r}, which is no verdict.{suggest(word, WORDS)}")
    return words or REFUSED


def _print_comparisons(comparisons: list[dict[str, Any]], all_ids: bool, all_measures: bool) -> None:
    from rich.console import Console

    from rlkit.report.comparison_table import (
        build_overview,
        build_table,
        build_verdict_table,
        describe_comparison,
        describe_front,
        describe_verdict,
    )
    from rlkit.terminal import show_controls

    # Off a terminal nothing limits the width; rich would assume 80 columns and cut the numbers.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for comparison in comparisons:
        console.print(show_controls(describe_verdict(comparison)), markup=False, soft_wrap=True)
        for line in describe_front(comparison):
            console.print(show_controls(line), markup=False, soft_wrap=True)
    if len(comparisons) > 1:
        console.print(build_overview(comparisons))
    if len(comparisons) > _DETAILED_RUNS and not all_measures:
        console.print("(--all prints the table of every run; or compare fewer.)")
        return
    for comparison in comparisons:
        console.print(build_verdict_table(comparison))
        table = build_table(comparison, all_measures)
        # Measured as if there were room: rich would otherwise answer that cut columns fit.
        if console.measure(table, options=console.options.update(max_width=1000)).maximum > console.width:
            table = build_table(comparison, all_measures, for_each_k_alone=True)
        console.print(table)
        for line in describe_comparison(comparison, all_ids, all_measures):
            console.print(show_controls(line), markup=False, soft_wrap=True)
