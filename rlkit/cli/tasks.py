"""`rlkit tasks list|show|validate`: find a task, see a prompt of it, prove its verifier."""

from __future__ import annotations

import argparse
import io
import sys
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
    validate.add_argument(
        "--deadline",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="end a task that has not proven itself by then; one that hangs in grade() is ended after a minute "
        "(default: %(default)g)",
    )
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
    """Check the rows, that `grade` keeps its contract, and the task's own proof, in a process that can be ended."""
    import time

    from rlkit.parameters import check_number
    from rlkit.terminal import note
    from rlkit.workers.pool import WorkerPool

    check_number("rlkit tasks validate", "--deadline", args.deadline, above=0)
    watch = _Watch(args.deadline)
    with WorkerPool("rlkit.cli.tasks:prove_and_tell", num_workers=1, deadline_s=args.deadline, memory_mb=None) as pool:
        (reply,) = pool.map([{"spec": args.task}], end_at=time.monotonic() + args.deadline, on_part=watch.take)
    name, counts = watch.conclude(reply)
    note(f"Read and checked: {', '.join(f'{split} {count:,}' for split, count in counts.items())}.")
    say(f"{name}: valid")
    return 0


def prove_and_tell(spec: str) -> dict[str, Any]:
    """In a worker, prove a task and tell how far it is; return its name and counts, or the error that refuses it."""
    import contextlib

    from rlkit.errors import RlkitError
    from rlkit.tasks import resolve_task
    from rlkit.tasks.proving import prove_task
    from rlkit.workers.wire import tell

    with contextlib.redirect_stderr(_Told()):
        try:
            task = resolve_task(_read_spec(spec))
            counts = prove_task(task, lambda label, patience_s: tell({"at": [label, patience_s]}))
        except RlkitError as error:
            return {"refused": [type(error).__name__, str(error)]}
    return {"name": task.name, "counts": counts}


class _Told(io.TextIOBase):
    """Standard error of a worker: what is written is told to the program that shows it."""

    def write(self, text: str) -> int:
        from rlkit.workers.wire import tell

        tell({"text": text})
        return len(text)


class _Watch:
    """Takes what a worker tells while it proves a task."""

    def __init__(self, deadline_s: float) -> None:
        self._label, self._patience_s = "it was loaded", deadline_s

    def take(self, part: Any) -> float:
        """Show or note what was told, and return the seconds until the next is due."""
        from rlkit.terminal import show_controls

        if isinstance(part, dict) and "text" in part:
            sys.stderr.write(show_controls(str(part["text"])))
        elif isinstance(part, dict) and isinstance(part.get("at"), list):
            self._label, self._patience_s = str(part["at"][0]), float(part["at"][1])
        return self._patience_s

    def conclude(self, reply: Any) -> tuple[str, dict[str, int]]:
        """Return the task's name and the rows of each split; raise what refused it."""
        from rlkit import errors

        if reply.status == "timeout":
            raise errors.RewardError(f"When {self._label}, the task did not come back in time and was ended.")
        if reply.status == "error":
            said = (reply.reason or "").rstrip(".")
            raise errors.RewardError(f"When {self._label}, the task ended the process that checks it: {said}.")
        if "refused" in reply.value:
            kind, sentence = reply.value["refused"]
            raise getattr(errors, kind, errors.RewardError)(sentence)
        return str(reply.value["name"]), reply.value["counts"]


def _read_spec(text: str) -> Any:
    from rlkit.cli.options import read_spec

    return read_spec(text, "TASK")
