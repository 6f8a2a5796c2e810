"""Options that several commands share."""

from __future__ import annotations

import argparse
from typing import Any

from rlkit.errors import ConfigError, suggest


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


def add_verdict_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what decides a verdict, and which verdicts fail."""
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
    parser.add_argument(
        "--gate",
        nargs="?",
        const="",
        metavar="WORDS",
        help="exit with code 1 if the verdict of a run is one of these words, such as collapsed,worse,not-settled "
        "(default: collapsed,worse,narrower)",
    )


def read_choices(args: argparse.Namespace) -> Any:
    """Return what was chosen of the verdict."""
    from rlkit.evaluation.comparing.comparison import Choices
    from rlkit.evaluation.comparing.margins import read_margins

    return Choices(read_margins(args.margin), args.k, args.diversity)


def read_gate(gate: str | None) -> tuple[str, ...]:
    """Return the verdicts that `--gate` refuses; none where it is not given."""
    from rlkit.evaluation.comparing.verdict_rules import REFUSED, WORDS

    if gate is None:
        return ()
    words = tuple(word.strip().replace("-", " ").replace("_", " ") for word in gate.split(",") if word.strip())
    for word in words:
        if word not in WORDS:
            raise ConfigError(f"--gate was given as {word!r}, which is no verdict.{suggest(word, WORDS)}")
    return words or REFUSED
