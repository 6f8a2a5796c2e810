"""`rlkit rewards list|show|check|new`: find a reward, read it, hold it to its contract, begin one of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlkit.rewards import BoundReward


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `rewards` and its actions to the commands."""
    parser = subparsers.add_parser(
        "rewards",
        help="list, show, check and begin reward plug-ins",
        epilog="example: rlkit rewards check my_reward.py",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    def add_action(name: str, purpose: str, example: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name,
            help=purpose,
            description=f"{purpose.capitalize()}.",
            epilog=f"example: rlkit rewards {name} {example}",
        )

    add_action("list", "list the rewards that can be named", "").set_defaults(run=run_list)
    show = add_action("show", "print what a reward says, takes and gives, and where it is", "overlong")
    check = add_action("check", "run a reward's cases and hostile completions; exit code 1 if a check fails", "mine.py")
    new = add_action("new", "write a working reward of your own and its test, to edit", "short_answers")
    for action, run in ((show, run_show), (check, run_check)):
        action.add_argument(
            "reward",
            metavar="REWARD",
            help="a name, file.py, file.py:fn, package.module:fn, or '{name: ..., parameter: ...}'",
        )
        action.set_defaults(run=run)
    check.add_argument(
        "--budget", type=float, default=10.0, metavar="S", help="seconds that a call may take (default: %(default)g)"
    )
    new.add_argument("name", metavar="NAME", help="what to call it; writes NAME.py and test_NAME.py here")
    new.set_defaults(run=run_new)


def run_list(args: argparse.Namespace) -> int:
    """Print a line about each reward: name, form, role, isolation, and what it says of itself."""
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
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[4]]).rstrip())
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print everything that there is to know about one reward."""
    import inspect

    from rlkit.errors import ConfigError
    from rlkit.rewards import bind_reward
    from rlkit.rewards.binding import settable
    from rlkit.testing.check import find_cases, find_home, plain_function

    bound = bind_reward(read_reward(args.reward))
    function = plain_function(bound)
    home = find_home(bound)
    about = inspect.getdoc(home) or ""
    print(f"{bound.name}: {bound.form}, {bound.role}, {bound.run.isolation}\n{getattr(home, '__file__', '')}\n")
    print(f"{about}\n\n{inspect.getdoc(function) or ''}".strip())
    parameters = inspect.signature(function).parameters
    taken = settable(function)
    print("\nParameters" + ("" if taken else ": none"))
    for name in taken:
        default = parameters[name].default
        print(f"    {name}" + (" (needed)" if default is inspect.Parameter.empty else f" = {default!r}"))
    try:
        cases = find_cases(bound)
    except ConfigError:
        cases = []
    print("\nCases" + ("" if cases else ": none"))
    for given, expected in cases:
        print(f"    {_short(given)} -> {expected}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Examine one reward and print a line a check; 1 when one failed."""
    from rlkit.testing import examine_reward
    from rlkit.testing.examination import CHECKS

    report = examine_reward(read_reward(args.reward), budget_s=args.budget)
    print(f"{report.name}: {report.form}, {report.role}, {report.isolation}; {report.num_cases} cases")
    for check in report.checks.values():
        said = f"{CHECKS[check.name]} ({check.skipped})" if check.status == "skipped" else CHECKS[check.name]
        print(f"  {check.status:8}{check.name:13}{said}")
        for sentence in check.told:
            print(f"            {sentence}")
    failed = [check.name for check in report.checks.values() if check.failures]
    print(f"Failed: {', '.join(failed)}." if failed else "Every check passed.")
    return 1 if failed else 0


def run_new(args: argparse.Namespace) -> int:
    """Write a reward and its test."""
    import keyword

    from rlkit.cli.new_reward import PLUGIN, TEST
    from rlkit.errors import ConfigError

    name: str = args.name
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(f"{name!r} cannot be the name of a function; write one like short_answers.")
    files = {Path(f"{name}.py"): PLUGIN, Path(f"test_{name}.py"): TEST}
    for file in files:
        if file.exists():
            raise ConfigError(f"{file} exists already; choose another name, or move it away.")
    for file, text in files.items():
        file.write_text(text.replace("NAME", name), encoding="utf-8")
        print(f"Wrote {file}.")
    print(f"Next: rlkit rewards check {name}.py")
    return 0


def read_reward(text: str) -> Any:
    """Return how a reward was named; of a file without `:fn`, its function called like the file, or its only reward.

    Raises:
        ConfigError: which function of the file is meant is not clear.
    """
    from rlkit.cli.options import read_spec

    return f"{text}:{_find_function(text)}" if text.endswith(".py") else read_spec(text, "REWARD")


def _find_function(file: str) -> str:
    import inspect

    from rlkit.errors import ConfigError
    from rlkit.plugins import load_file

    module = load_file(Path(file), "reward")
    stem = Path(file).stem
    if callable(getattr(module, stem, None)):
        return stem
    marked = [name for name, thing in vars(module).items() if hasattr(thing, "reward_form")]
    plain = [
        name
        for name, thing in vars(module).items()
        if inspect.isfunction(thing)
        and thing.__module__ == module.__name__
        and "completions" in inspect.signature(thing).parameters
    ]
    found = marked or plain
    if len(found) != 1:
        raise ConfigError(
            f"{file} has {len(found) or 'no'} rewards{' (' + ', '.join(found) + ')' if found else ''}; write {file}:fn."
        )
    return found[0]


def _first_line(bound: BoundReward) -> str:
    import inspect

    from rlkit.testing.check import find_home, plain_function

    about = inspect.getdoc(find_home(bound)) or inspect.getdoc(plain_function(bound)) or ""
    return about.strip().partition("\n")[0]


def _short(given: Any) -> str:
    shown = repr(given)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."
