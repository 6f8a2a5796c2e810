"""`rlkit sft RECIPE`: fine-tune on rows of prompt and completion, with weights, alone or under `accelerate launch`."""

from __future__ import annotations

import argparse
from typing import Any

from rlkit.errors import ConfigError

_DESCRIPTION = """\
Fine-tune a model on the rows of a recipe of kind sft, or go on where its output directory stopped. Without a recipe,
name model, data and output; everything else is set by --set. Rows are {"prompt": ..., "completion": ...}, with
"weight" where they differ, or {"messages": [...]}.

  rlkit sft countdown/sft_distinct --set data.path=runs/archive
  rlkit sft --model countdown-tiny --data solutions.jsonl --output runs/sft --set train.num_train_epochs=6
  accelerate launch --config_file recipes/accelerate/cpu.yaml -m rlkit sft my.yaml
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `sft` to the commands."""
    from rlkit.cli.train import add_run_options

    parser = subparsers.add_parser(
        "sft",
        help="fine-tune on rows of prompt and completion",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="a recipe file of kind sft, or a shipped one")
    parser.add_argument("--model", help="a directory, a bundled model such as countdown-tiny, or a hub id")
    parser.add_argument("--data", metavar="FILE", help="rows, or {name: jsonl | hub | archive | evaluation, ...}")
    parser.add_argument("--output", metavar="DIR", help="the run directory")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit sft`; 130 when a signal ended it early."""
    from rlkit.cli.train import run_recipe
    from rlkit.recipe import build_recipe
    from rlkit.recipe.source import apply_overrides, read_mapping

    values: dict[str, Any] = {"kind": "sft"} if args.recipe is None else read_mapping(args.recipe)
    values |= _named(args)
    apply_overrides(values, args.overrides)
    recipe = build_recipe(values)
    if recipe.kind != "sft":
        raise ConfigError(f"{args.recipe} is a recipe of kind {recipe.kind}; run it by rlkit train.")
    return run_recipe(recipe, args)


def _named(args: argparse.Namespace) -> dict[str, Any]:
    from rlkit.cli.options import read_spec

    data = None if args.data is None else read_spec(args.data, "--data")
    given = {"model": args.model, "data": data, "output": args.output}
    return {key: value for key, value in given.items() if value is not None}
