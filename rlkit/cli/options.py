"""Options that several verbs share."""

from __future__ import annotations

import argparse


def add_set_option(parser: argparse.ArgumentParser) -> None:
    """Add `--set key=value`, repeatable."""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one setting of the recipe, e.g. train.learning_rate=1e-4; the value is YAML; may be repeated",
    )
