"""`rlkit import LOG --output DIR`: results of other tools, ready for report and compare."""

from __future__ import annotations

import argparse

_DESCRIPTION = """\
Read a sample log of lm-evaluation-harness (samples_*.jsonl of --log_samples) or lighteval (details_*.parquet of
--save-details) into an evaluation directory. Several logs of one task and model become several samples a problem.
What a log does not hold, such as log-probabilities, stays undefined. --verifier grades the completions anew.

  rlkit import samples_gsm8k_2025-11-05T14-43-47.jsonl --filter strict-match --model my-model --output runs/mine
  rlkit import run1/samples_*.jsonl run2/samples_*.jsonl --verifier math --model my-model --output runs/both
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `import` to the commands."""
    parser = subparsers.add_parser(
        "import",
        help="read results of lm-evaluation-harness or lighteval",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="samples_*.jsonl or details_*.parquet")
    parser.add_argument("--output", required=True, metavar="DIR", help="evaluation directory to write")
    parser.add_argument("--model", help="the model's name, where the log does not hold it")
    parser.add_argument("--name", help="what reports call this evaluation (default: the directory's name)")
    parser.add_argument("--metric", help="the log's metric that says what is correct (default: the only or usual one)")
    parser.add_argument("--filter", help="the filter of lm-evaluation-harness whose results are read")
    parser.add_argument("--verifier", help="grade anew by math, exact, multiple_choice or file.py:fn")
    parser.add_argument(
        "--thinking-tag",
        default="think",
        metavar="TAG",
        help="look for no answer inside of <TAG>...</TAG>; '' takes whole texts (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit import`."""
    from rlkit.evaluation.samples.importing import import_logs
    from rlkit.terminal import note, say

    report = import_logs(
        args.logs,
        args.output,
        model=args.model,
        name=args.name,
        metric=args.metric,
        filter=args.filter,
        verifier=args.verifier,
        thinking_tag=args.thinking_tag or None,
    )
    cell = report["pass_at_k"]["1"]
    found = "undefined" if cell["value"] is None else f"{cell['value']:.3f}"
    say(f"{report['name']}: {report['num_problems']} problems x {report['n']} samples, pass@1 {found}")
    if unscored := report["metrics"]["unscored"]["value"]:
        note(f"{unscored:.1%} of the samples have no grade of their own in the log; --verifier grades them anew.")
    note(f"Wrote {args.output}/report.json")
    return 0
