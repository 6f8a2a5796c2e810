"""`rlkit rewards list|show|check|new`: find a reward, read it, hold it to its contract, begin one of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.terminal import say

if TYPE_CHECKING:
    from rlkit.rewards import BoundReward


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `rewards` and its actions to the commands."""
    from rlkit.cli.listing import add_command

    add_action = add_command(subparsers, "rewards", "list, show, check and begin reward plug-ins", "check my_reward.py")
    add_action("list", "list the rewards that can be named", "", run_list)
    show = add_action("show", "print what a reward says, takes and gives, and where it is", "overlong", run_show)
    check = add_action(
        "check", "run a reward's cases and hostile completions; exit code 1 if a check fails", "mine.py", run_check
    )
    new = add_action("new", "write a working reward of your own and its test, to edit", "short_answers", run_new)
    for action in (show, check):
        action.add_argument(
            "reward",
            metavar="REWARD",
            help="a name, file.py, file.py:fn, package.module:fn, or '{name: ..., parameter: ...}'",
        )
    check.add_argument(
        "--budget", type=float, default=10.0, metavar="S", help="seconds that a call may take (default: %(default)g)"
    )
    check.add_argument(
        "--deadline",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds that the whole check may take, after which it is ended (default: %(default)g)",
    )
    new.add_argument("name", metavar="NAME", help="what to call it; writes NAME.py and test_NAME.py here")


def run_list(args: argparse.Namespace) -> int:
    """Print a line about each reward: name, form, role, isolation, and what it says of itself."""
    from rlkit.cli.listing import print_rows
    from rlkit.errors import RlkitError
    from rlkit.rewards import REWARDS, bind_reward

    rows = [("name", "form", "role", "isolation", "")]
    for name in REWARDS.names():
        try:
            bound = bind_reward(name)
        except RlkitError as error:
            # One broken package does not hide what the others bring.
            rows.append((name, "-", "-", "-", f"cannot be used: {error}"))
        else:
            rows.append((name, bound.form, bound.role, bound.run.isolation, _first_line(bound)))
    print_rows(rows)
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print everything that there is to know about one reward."""
    import inspect

    from rlkit.errors import ConfigError
    from rlkit.rewards import bind_reward
    from rlkit.rewards.bound_reward import settable
    from rlkit.testing.homes import find_cases, find_home, plain_function

    bound = bind_reward(_read_reward(args.reward))
    function = plain_function(bound)
    home = find_home(bound)
    about = inspect.getdoc(home) or ""
    say(f"{bound.name}: {bound.form}, {bound.role}, {bound.run.isolation}\n{getattr(home, '__file__', '')}\n")
    say(f"{about}\n\n{inspect.getdoc(function) or ''}".strip())
    parameters = inspect.signature(function).parameters
    taken = settable(function)
    say("\nParameters" + ("" if taken else ": none"))
    for name in taken:
        default = parameters[name].default
        say(f"    {name}" + (" (needed)" if default is inspect.Parameter.empty else f" = {default!r}"))
    try:
        cases = find_cases(bound) or []
    except ConfigError:
        cases = []
    say("\nCases" + ("" if cases else ": none"))
    for given, expected in cases:
        say(f"    {_short(given)} -> {expected}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Examine one reward and print a line a check; 1 when one failed."""
    from rlkit.cli.options import read_spec
    from rlkit.testing import examine_reward
    from rlkit.testing.examination import CHECKS

    # What the file does when it is imported is part of what is checked, so nothing of it is imported here.
    reward = args.reward if args.reward.endswith(".py") else read_spec(args.reward, "REWARD")
    report = examine_reward(reward, budget_s=args.budget, deadline_s=args.deadline)
    say(f"{report.name}: {report.form}, {report.role}, {report.isolation}; {report.num_cases} cases")
    for check in report.checks.values():
        said = f"{CHECKS[check.name]} ({check.skipped})" if check.status == "skipped" else CHECKS[check.name]
        say(f"  {check.status:8}{check.name:13}{said}")
        for sentence in check.told:
            say(f"            {sentence}")
    failed = [check.name for check in report.checks.values() if check.failures]
    say(f"Failed: {', '.join(failed)}." if failed else "Every check passed.")
    return 1 if failed else 0


def run_new(args: argparse.Namespace) -> int:
    """Write a reward and its test."""
    from rlkit.testing.new_reward import write_reward

    for file in write_reward(args.name, Path()):
        say(f"Wrote {file}.")
    say(f"Next: rlkit rewards check {args.name}.py")
    return 0


def _read_reward(text: str) -> Any:
    """Return how a reward was named; of a file without `:fn`, the reward that is meant."""
    from rlkit.cli.options import read_spec
    from rlkit.rewards import find_reward

    return find_reward(text) if text.endswith(".py") else read_spec(text, "REWARD")


def _first_line(bound: BoundReward) -> str:
    import inspect

    from rlkit.testing.homes import find_home, plain_function

    about = inspect.getdoc(find_home(bound)) or inspect.getdoc(plain_function(bound)) or ""
    return about.strip().partition("\n")[0]


def _short(given: Any) -> str:
    shown = repr(given)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."
