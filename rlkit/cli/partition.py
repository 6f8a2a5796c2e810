"""`rlkit partition`: fit a classifier of what counts as different, and check any partition against labels."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from rlkit.explaining.pair_table import build_table, warnings_of
from rlkit.terminal import StageProgress, note, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rlkit.diversity import Partition
    from rlkit.diversity.pair_data import Pair

_DESCRIPTION = """\
What counts as different, learned from labelled pairs or held against them. A file of pairs has one a line:

  {"a": "first text", "b": "second text", "same": true, "prompt": "id of what both answer, or left out"}

  rlkit partition fit pairs.jsonl --output runs/pairs/head
  rlkit partition agree runs/pairs/head other-pairs.jsonl
"""
_FIT = """\
Fit a small classifier to labelled pairs (at least 50): 60 % train it, 20 % calibrate its threshold, 20 % are held out
and measured; no prompt is in two parts (pairs without a prompt: no text). The threshold is the most accurate of those
that keep the chance of a false merge among G different answers within the bound, on the calibration part.

  rlkit partition fit pairs.jsonl --output runs/pairs/head
  rlkit partition fit pairs.jsonl --output runs/pairs/head --max-false-merge 0.2 --group-size 16 \\
      --embedding '{name: sentence_embedding, model: some/encoder}' --embedding hashed_ngrams

A recipe then says partition: {name: pair_classifier, path: runs/pairs/head}.
"""
_AGREE = """\
Say how well a partition agrees with labelled pairs, each judged as a group of two: before any closure, that is.

  rlkit partition agree countdown-pairs pairs.jsonl
  rlkit partition agree '{name: ngram_overlap, n: 2, threshold: 0.3}' pairs.jsonl --json
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `partition` to the commands."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "partition",
        help="fit what counts as different to labelled pairs",
        description=_DESCRIPTION,
        formatter_class=raw,
    )
    inner = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fit = inner.add_parser("fit", help="fit a classifier", description=_FIT, formatter_class=raw)
    fit.add_argument("pairs", metavar="PAIRS", help="file of labelled pairs")
    fit.add_argument("--output", required=True, metavar="DIR", help="directory to write the classifier to")
    fit.add_argument(
        "--embedding",
        action="append",
        metavar="SPEC",
        help="a name, or {name: ..., param: ...}; repeated, vectors are put side by side (default: hashed_ngrams)",
    )
    fit.add_argument("--hidden", type=int, metavar="N", help="hidden units, 0 for none (default: by number of pairs)")
    _add_group_size(fit)
    fit.add_argument(
        "--max-false-merge",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="bound on the chance of a false merge in such a group; 1 for accuracy alone (default: %(default)s)",
    )
    fit.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    fit.add_argument("--json", action="store_true", help="print JSON instead of a table")
    fit.set_defaults(run=run_fit)
    agree = inner.add_parser("agree", help="check any partition", description=_AGREE, formatter_class=raw)
    agree.add_argument(
        "partition", metavar="PARTITION", help="as in a recipe, or a fitted classifier's name or directory"
    )
    agree.add_argument("pairs", metavar="PAIRS", help="file of labelled pairs")
    _add_group_size(agree)
    agree.add_argument("--json", action="store_true", help="print JSON instead of a table")
    agree.set_defaults(run=run_agree)


def _add_group_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--group-size", type=int, default=8, metavar="G", help="answers a group will hold (default: %(default)s)"
    )


def run_fit(args: argparse.Namespace) -> int:
    """Run `rlkit partition fit`."""
    from rlkit.diversity.pair_data import read_pairs
    from rlkit.diversity.pair_fitting import FEWEST_PAIRS, FitSettings, fit_head
    from rlkit.diversity.pair_head import check_output

    specs = [_read_spec(text, "--embedding") for text in args.embedding or ["hashed_ngrams"]]
    settings = FitSettings(specs, args.hidden, args.group_size, args.max_false_merge, args.seed)
    check_output(args.output)
    pairs = read_pairs(args.pairs, FEWEST_PAIRS)
    with StageProgress() as progress:
        head = fit_head(pairs, settings, progress)
    head.save(args.output)
    if args.json:
        print(json.dumps({"threshold": head.threshold, **head.measured}, indent=1))
    else:
        _print_fit(head.measured)
    note(f"Wrote {args.output}; in a recipe: partition: {{name: pair_classifier, path: {args.output}}}")
    return 0


def run_agree(args: argparse.Namespace) -> int:
    """Run `rlkit partition agree`."""
    from rlkit.diversity.pair_data import read_pairs
    from rlkit.diversity.pair_scores import judge_each, score_pairs
    from rlkit.parameters import check_count

    check_count("agree", "group_size", args.group_size, 2)
    partition = _find_partition(args.partition)
    pairs = read_pairs(args.pairs)
    with StageProgress() as progress:
        judged = judge_each(partition, pairs, progress)
    scores = score_pairs(judged, [pair.same for pair in pairs], args.group_size)
    _note_missing_answers(partition, pairs)
    if args.json:
        print(json.dumps(scores, indent=1))
        return 0
    title = f"{args.partition} on {len(pairs)} pairs, {scores['share_same']:.0%} of them the same"
    console = _console()
    console.print(plain(title), soft_wrap=True)
    console.print(build_table({"": scores}, args.group_size))
    return 0


def _note_missing_answers(partition: Partition, pairs: Sequence[Pair]) -> None:
    """Say how many texts lack what a partition compares, a final answer or a program: to it, all those are the same."""
    from rlkit.diversity import NO_ANSWER, FinalAnswer, SyntaxTree

    if not isinstance(partition, FinalAnswer | SyntaxTree):
        return
    what = "final answer" if isinstance(partition, FinalAnswer) else "program that Python can read"
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.a, pair.b)))
    missing = partition.features(texts).count(NO_ANSWER)
    if missing:
        note(f"{missing} of {len(texts)} texts have no {what}; all of those are one class.")


def _find_partition(text: str) -> Partition:
    """Return what a recipe would name so, or the pair classifier of that directory or name."""
    from pathlib import Path

    from rlkit.diversity import resolve_partition
    from rlkit.diversity.pair_head import shipped_heads

    spec = _read_spec(text, "PARTITION")
    if isinstance(spec, str) and (spec in shipped_heads() or Path(spec).expanduser().is_dir()):
        spec = {"name": "pair_classifier", "path": spec}
    return resolve_partition(spec)


def _read_spec(text: str, option: str) -> Any:
    if not text.lstrip().startswith("{"):
        return text
    from rlkit.recipe.yaml_text import parse_yaml

    return parse_yaml(text, option)


def _print_fit(measured: Mapping[str, Any]) -> None:
    parts = measured["pairs"]
    title = (
        f"{sum(parts.values())} pairs, {measured['share_same']:.0%} of them the same: {parts['train']} to train, "
        f"{parts['calibration']} to calibrate, {parts['held_out']} held out and measured"
    )
    columns = {"as stored": measured["held_out"], "for accuracy alone": measured["most_accurate"]}
    console = _console()
    console.print(plain(title), soft_wrap=True)
    console.print(build_table(columns, measured["group_size"]))
    for sentence in warnings_of(measured):
        console.print(plain(f"Note: {sentence}"), soft_wrap=True)


def _console() -> Any:
    from rich.console import Console

    # Off a terminal nothing limits the width; rich would assume 80 columns and cut the numbers.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
