"""Options that several commands share."""

from __future__ import annotations

import argparse
from typing import Any


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


def add_task_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a task."""
    parser.add_argument("task", metavar="TASK", help="a name, {name: ..., param: ...}, task.yaml or file.py:Thing")


def read_spec(text: str, option: str) -> Any:
    """Return how a plug-in was named: the text itself, or the mapping that a text in braces says in YAML."""
    if not text.lstrip().startswith("{"):
        return text
    from rlkit.recipe.yaml_text import parse_yaml

    return parse_yaml(text, option)
