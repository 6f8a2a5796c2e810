"""`rlkit archive collect|show|export`: keep the distinct correct solutions found, look at them, write rows of them."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError

if TYPE_CHECKING:
    from rlkit.archive.summary import ArchiveSummary, SourceSummary

_BAR = 40
"""Characters of the longest bar."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `archive` and its actions to the commands."""
    from rlkit.cli.listing import add_command

    add_action = add_command(
        subparsers, "archive", "keep distinct correct solutions, to learn from", "collect found.jsonl runs/draws"
    )
    collect = add_action(
        "collect",
        "add the distinct correct solutions of evaluations to an archive",
        "found.jsonl runs/draws --partition canonical_expression",
        run_collect,
    )
    show = add_action("show", "say what an archive holds, and what is left to find", "found.jsonl", run_show)
    export = add_action(
        "export", "write one row a solution, to train on", "found.jsonl rows.jsonl --weights equal", run_export
    )
    for action in (show, export):
        action.add_argument("archive", metavar="ARCHIVE", help="file of the archive, such as found.jsonl")
    collect.add_argument(
        "paths", metavar="PATH", nargs="+", help="the archive, then outputs of rlkit eval on training problems"
    )
    collect.add_argument("--output", metavar="ARCHIVE", help="the archive; every PATH is an output of rlkit eval then")
    collect.add_argument(
        "--rollouts",
        action="store_true",
        help="read what runs of rlkit train logged with train.log_completions: true, in the place of evaluations",
    )
    collect.add_argument("--task", metavar="SPEC", help="what gives the problems (default: what each DIR names)")
    collect.add_argument(
        "--partition", metavar="SPEC", help="what tells solutions apart (default: the archive's, else the task's own)"
    )
    collect.add_argument(
        "--held-out",
        metavar="TASK[:SPLIT]",
        action="append",
        default=[],
        help="refuse the problems of this too, beside the task's own test split; SPLIT is test unless said",
    )
    collect.add_argument(
        "--per-problem", type=int, metavar="K", help="most solutions a problem that are learnt where a recipe is silent"
    )
    collect.add_argument("--weights", metavar="RULE", help="what they weigh then: one of export's rules")
    show.add_argument("--json", action="store_true", help="print JSON instead of text")
    export.add_argument("rows", metavar="ROWS", help="JSONL file to write: prompt, completion, weight, problem, key")
    add_row_options(export)


def add_row_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which solutions become rows, and with what weight."""
    parser.add_argument(
        "--per-problem", type=int, metavar="K", help="most solutions a problem (default: the archive's, else all)"
    )
    parser.add_argument(
        "--weights",
        metavar="RULE",
        help="equal, as_drawn, per_problem, capped, sqrt_count or hard_first (default: the archive's, else equal)",
    )
    parser.add_argument("--seed", type=int, default=0, help="which solutions are kept of too many (default: 0)")


def run_collect(args: argparse.Namespace) -> int:
    """Add evaluations to an archive, and say what they brought."""
    from rlkit.archive.store import check_rule
    from rlkit.cli.options import read_spec
    from rlkit.evaluation.collecting import collect_solutions
    from rlkit.evaluation.rollouts import collect_rollouts
    from rlkit.terminal import note, say

    path, directories = (args.output, args.paths) if args.output else (args.paths[0], args.paths[1:])
    if not directories:
        raise ConfigError(
            f"{path} is the archive, and nothing to collect from is named; add an output of rlkit eval, or write "
            "--output ARCHIVE."
        )
    check_rule(args.weights, {"per_problem": args.per_problem})
    collect = collect_rollouts if args.rollouts else collect_solutions
    archive, done = collect(
        path,
        directories,
        task=read_spec(args.task, "--task") if args.task else None,
        partition=read_spec(args.partition, "--partition") if args.partition else None,
        held_out=[_read_held_out(text) for text in args.held_out],
    )
    say(
        f"{done.num_correct:,} of {done.num_samples:,} samples are correct and hold {done.num_new:,} solutions that "
        f"{path} did not have; it holds {archive.num_solutions:,}, of {len(archive.problems):,} problems."
    )
    if args.per_problem is not None or args.weights is not None:
        archive.set_defaults(args.per_problem, args.weights)
    if done.num_unknown:
        note(f"{done.num_unknown:,} samples are of problems that the task does not have, and were left out.")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print what an archive holds."""
    from rlkit.archive import Archive
    from rlkit.archive.summary import summarise
    from rlkit.terminal import say

    found = summarise(Archive.open(args.archive))
    say(json.dumps(found.as_json(), indent=1) if args.json else "\n".join(_describe(found)))
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write rows to train on."""
    from pathlib import Path

    from rlkit.archive import Archive
    from rlkit.files import write_text
    from rlkit.terminal import note

    rows = Archive.open(args.archive).rows(args.per_problem, args.weights, seed=args.seed)
    write_text(Path(args.rows), "".join(json.dumps(vars(row), ensure_ascii=False) + "\n" for row in rows))
    note(f"Wrote {len(rows):,} rows of {len({row.problem for row in rows}):,} problems to {args.rows}.")
    return 0


def _read_held_out(text: str) -> tuple[Any, str]:
    from rlkit.cli.options import read_spec

    spec, colon, split = text.rpartition(":")
    # A path, a file's object and a mapping have colons of their own; a split is a plain word.
    if not colon or not split.isidentifier() or spec.endswith(".py") or text.rstrip().endswith("}"):
        return read_spec(text, "--held-out"), "test"
    return read_spec(spec, "--held-out"), split


def _describe(found: ArchiveSummary) -> list[str]:
    lines = [
        (
            f"{found.num_solutions:,} distinct solutions of {found.num_solved:,} of {found.num_problems:,} problems, "
            f"from {found.num_correct:,} correct of {found.num_drawn:,} samples."
        ),
        "",
        "correct samples  problems   samples   correct  solutions  a problem",
    ]
    for each in found.bins:
        mean = f"{each.solutions_per_problem:.2f}" if each.num_problems else "-"
        lines.append(
            f"{each.name:>15}  {each.num_problems:>8,}  {each.num_drawn:>8,}  {each.num_correct:>8,}  "
            f"{each.num_solutions:>9,}  {mean:>9}"
        )
    if found.unsolved_below == found.unsolved_below:
        lines.append(f"A problem never solved may still have a pass rate of up to {found.unsolved_below:.3f} (95 %).")
    for source in found.sources:
        lines += ["", *_describe_source(source)]
    return lines


def _describe_source(source: SourceSummary) -> list[str]:
    at = "" if source.temperature is None else f" at temperature {source.temperature:g}"
    lines = [
        (
            f"{source.model}{at}: {source.num_solutions:,} solutions in {source.num_drawn:,} samples of "
            f"{source.num_problems:,} problems."
        )
    ]
    if source.unseen_mass == source.unseen_mass:
        lines.append(
            f"Of its next 100 correct samples {100 * source.unseen_mass:.1f} would be new solutions; as many samples "
            f"again would bring about {source.next_new:,.0f}, of at least {source.num_left:,.0f} that are left."
        )
    if source.num_undefined:
        lines.append(f"{source.num_undefined:,} problems of one correct sample say nothing of that and are left out.")
    most = max((mean for _, mean in source.growth), default=0.0)
    lines.append("samples a problem, and the distinct solutions that they give:")
    for size, mean in source.growth:
        bar = "█" * round(_BAR * mean / most) if most else ""
        lines.append(f"{size:>6,}  {mean:>7.3f}  {bar}")
    return lines
