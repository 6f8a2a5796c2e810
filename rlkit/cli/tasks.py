"""`rlkit tasks list|show|validate`: find a task, see a prompt of it, prove its verifier."""

from __future__ import annotations

import argparse
from typing import Any

from rlkit.terminal import say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `tasks` and its actions to the commands."""
    from rlkit.cli.listing import add_command
    from rlkit.cli.options import add_task_argument

    add_action = add_command(
        subparsers,
        "tasks",
        "list, show and validate tasks",
        "show '{name: reasoning_gym, dataset: chain_sum}'",
    )
    add_action("list", "list the tasks that can be named", "", run_list)
    show = add_action("show", "print a prompt as a model gets it, and its gold answer", "gsm8k --row 3", run_show)
    validate = add_action(
        "validate", "prove that gold answers are correct and damaged ones are not", "my_task.yaml", run_validate
    )
    for action in (show, validate):
        add_task_argument(action)
    show.add_argument("--split", default="test", help="split of the task (default: %(default)s)")
    show.add_argument("--row", type=int, default=1, metavar="N", help="which problem, from 1 (default: %(default)s)")


def run_list(args: argparse.Namespace) -> int:
    """Print the name of each task with a line about it."""
    from rlkit.cli.listing import print_rows
    from rlkit.tasks import TASKS, describe_task

    print_rows([(name, describe_task(name)) for name in TASKS.names()])
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one problem."""
    from rlkit.errors import ConfigError
    from rlkit.tasks import resolve_task
    from rlkit.tasks.rows import load_rows

    task = resolve_task(_read_spec(args.task))
    rows = load_rows(task, args.split)
    if not 1 <= args.row <= len(rows):
        raise ConfigError(f"--row was given as {args.row}; write a number from 1 to {len(rows)}.")
    row = rows[args.row - 1]
    say(f"{row['id']} ({args.row} of {len(rows)})")
    prompt = row["prompt"]
    for turn in [{"role": "text", "content": prompt}] if isinstance(prompt, str) else prompt:
        say(f"\n[{turn['role']}]\n{turn['content']}")
    shown = {key: value for key, value in row.items() if key not in ("id", "prompt", "entry")}
    say(f"\n[gold]\n{shown.pop('gold')}" if "gold" in shown else "\n[columns]")
    if "gold" not in row:
        say("\n".join(f"{key}: {value}" for key, value in shown.items()))
    return 0


def run_validate(args: argparse.Namespace) -> int:
    """Check the rows, that `grade` keeps its contract, and the task's own proof."""
    from rlkit.tasks import resolve_task
    from rlkit.tasks.proving import prove_task
    from rlkit.terminal import note

    task = resolve_task(_read_spec(args.task))
    counts = prove_task(task)
    note(f"Read and checked: {', '.join(f'{split} {count:,}' for split, count in counts.items())}.")
    say(f"{task.name}: valid")
    return 0


def _read_spec(text: str) -> Any:
    from rlkit.cli.options import read_spec

    return read_spec(text, "TASK")
