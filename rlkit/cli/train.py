"""`rlkit train RECIPE`: train what a recipe describes, alone or under `accelerate launch`."""

from __future__ import annotations

import argparse
from typing import Any

from rlkit.cli.options import add_set_option
from rlkit.terminal import note, say

_DESCRIPTION = """\
Train what RECIPE describes, or go on where its output directory stopped. Under a launcher the same words follow
-m rlkit:

  rlkit train countdown/grpo --set train.max_steps=20
  accelerate launch --config_file recipes/accelerate/cpu.yaml -m rlkit train countdown/grpo
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `train` to the commands."""
    parser = subparsers.add_parser(
        "train",
        help="train what a recipe describes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe file, or a shipped recipe such as countdown/grpo")
    add_run_options(parser)
    parser.set_defaults(run=run)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that runs a recipe."""
    add_set_option(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="check the recipe, print it with everything resolved, and stop"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="delete the run that the output directory holds and start anew"
    )


def run(args: argparse.Namespace) -> int:
    """Run `rlkit train`; 130 when a signal ended it early."""
    from rlkit.recipe import load_recipe

    return run_recipe(load_recipe(args.recipe, args.overrides), args)


def run_recipe(recipe: Any, args: argparse.Namespace) -> int:
    """Check or run a recipe of any kind as `--dry-run` and `--overwrite` say, and say how it ended."""
    from rlkit.cli import kinds

    if args.dry_run:
        from rlkit.recipe.yaml_text import format_yaml

        kinds.check(recipe)
        say(format_yaml(recipe.to_mapping()), end="")
        return 0
    outcome = kinds.run(recipe, args.overwrite)
    note(_SENTENCES[outcome.status].format(**vars(outcome)))
    return 130 if outcome.status == "interrupted" else 0


_SENTENCES = {
    "finished": "Finished {output} after {step} {unit}s; the model is in {output}/model.",
    "already finished": "{output} holds this run, finished after {step} {unit}s; give --overwrite to train it anew.",
    "interrupted": "Interrupted {output} after {unit} {step}; the same command continues from there.",
}
