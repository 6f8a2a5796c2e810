"""`rlkit grade`: grade stored samples again, without a model."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from rlkit.cli.eval import add_grading_options
from rlkit.cli.options import read_spec

if TYPE_CHECKING:
    from rlkit.evaluation.samples.regrade import Regrading

_DESCRIPTION = """\
Grade the samples of an evaluation again, with another verifier, partition or thinking tag, and write its report anew.
Needs no model. What was there stays whole until the new labels are on the disk; a kill leaves one or the other.

  rlkit grade runs/base
  rlkit grade runs/base --task '{name: path/to/stricter.py:Countdown}' --output runs/base-stricter
  rlkit grade runs/base --partition canonical_expression
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `grade` to the commands."""
    parser = subparsers.add_parser(
        "grade",
        help="grade stored samples again, without a model",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", help="output of rlkit eval, finished or not")
    parser.add_argument("--task", metavar="SPEC", help="whose verifier to use (default: the one that graded before)")
    parser.add_argument("--output", metavar="DIR2", help="empty or new directory for the result (default: DIR itself)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_grading_options(parser, tag=None)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit grade`."""
    from rlkit.evaluation.samples.regrade import KEEP, regrade
    from rlkit.terminal import note, say

    tag = KEEP if args.thinking_tag is None else args.thinking_tag or None
    done = regrade(
        args.directory,
        task=read_spec(args.task, "--task") if args.task else None,
        partition=read_spec(args.partition, "--partition") if args.partition else None,
        thinking_tag=tag,
        output=args.output,
    )
    say(json.dumps(as_json(done), indent=1) if args.json else summarise(done))
    for error, count in done.errors.most_common(1):
        note(f"The verifier failed on {count} samples, which count as unscored: {error}")
    note(f"Wrote {args.output or args.directory}")
    return 0


def as_json(done: Regrading) -> dict[str, Any]:
    """Return what has changed as JSON types."""
    return {
        "num_samples": done.num_samples,
        "num_changed": done.num_changed,
        "changes": [{"from": old, "to": new, "count": count} for (old, new), count in done.changes.most_common()],
        "examples": [dict(zip(("prompt_id", "sample", "from", "to"), each, strict=True)) for each in done.examples],
        "num_errors": sum(done.errors.values()),
    }


def summarise(done: Regrading) -> str:
    """Return what has changed as lines of text."""
    lines = [f"{done.num_changed:,} of {done.num_samples:,} labels changed"]
    lines += [f"  {count:>7,}  {old} -> {new}" for (old, new), count in done.changes.most_common()]
    if done.num_changed:
        shown = "these" if done.num_changed <= len(done.examples) else "the first"
        lines += [f"{shown}:", *(f"  {prompt}, sample {number}: {a} -> {b}" for prompt, number, a, b in done.examples)]
    return "\n".join(lines)
