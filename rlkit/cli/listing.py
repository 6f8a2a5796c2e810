"""What commands with actions share (`rewards`, `recipes`, `tasks`): how actions are added, and a table of names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from rlkit.terminal import say

AddAction = Callable[[str, str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]
"""Takes an action's name, purpose, the rest of an example, and what runs it; returns its parser."""


def add_command(subparsers: argparse._SubParsersAction, command: str, purpose: str, example: str) -> AddAction:
    """Add a command that has actions, and return what adds one."""
    parser = subparsers.add_parser(command, help=purpose, epilog=f"example: rlkit {command} {example}")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    def add_action(
        name: str, purpose: str, example: str, run: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        action: argparse.ArgumentParser = actions.add_parser(
            name,
            help=purpose,
            description=f"{purpose.capitalize()}.",
            epilog=f"example: rlkit {command} {name} {example}",
        )
        action.set_defaults(run=run)
        return action

    return add_action


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells under each other; the last cell of a row is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        say("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), last]).rstrip())
