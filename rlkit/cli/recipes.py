"""`rlkit recipes list|show|copy|validate`: find a recipe, take it, change it, check it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rlkit.errors import ConfigError, RlkitError


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `recipes` and its actions to the commands."""
    from rlkit.cli.listing import add_command
    from rlkit.cli.options import add_set_option

    add_action = add_command(
        subparsers, "recipes", "list, show, copy and validate recipes", "copy countdown/grpo my.yaml"
    )
    add_action("list", "list the shipped recipes", "", run_list)
    show = add_action("show", "print a recipe with everything it extends folded in", "countdown/darling", run_show)
    copy = add_action("copy", "write a recipe to a file of your own, to edit", "countdown/darling my.yaml", run_copy)
    validate = add_action("validate", "check recipes without loading a model", "my.yaml", run_validate)
    for action in (show, copy):
        action.add_argument("recipe", metavar="RECIPE", help="a recipe file or the name of a shipped recipe")
    copy.add_argument("file", metavar="FILE", type=Path, help="where to write it; must not exist yet")
    validate.add_argument("recipe", metavar="RECIPE", nargs="+", help="recipe files or names of shipped recipes")
    for action in (show, copy, validate):
        add_set_option(action)


def run_list(args: argparse.Namespace) -> int:
    """Print the name and purpose of each shipped recipe, then of each launch file."""
    from rlkit.cli.listing import print_rows
    from rlkit.recipe import shipped_launch_files, shipped_recipes

    files = {**shipped_recipes(), **shipped_launch_files()}
    print_rows([(name, _purpose(path)) for name, path in files.items()])
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one recipe as it would be run, or one launch file as it is."""
    print(_render(args.recipe, args.overrides), end="")
    return 0


def run_copy(args: argparse.Namespace) -> int:
    """Write one self-contained recipe, or one launch file."""
    target: Path = args.file.expanduser()
    if target.exists():
        raise ConfigError(f"{target} exists already; name a new file.")
    if not target.parent.is_dir():
        raise ConfigError(f"There is no directory {target.parent} to write {target.name} into.")
    target.write_text(_render(args.recipe, args.overrides), encoding="utf-8")
    print(f"Wrote {target}.")
    return 0


def run_validate(args: argparse.Namespace) -> int:
    """Check each recipe as `rlkit train` would before it loads a model; a bad one does not hide the next."""
    from rlkit.cli.kinds import check
    from rlkit.recipe import load_recipe

    code = 0
    for reference in args.recipe:
        try:
            untried = check(load_recipe(reference, args.overrides))
        except RlkitError as error:
            code = 2
            print(f"rlkit: {shorten(reference)}: {error}", file=sys.stderr)
        else:
            print(f"{reference}: valid{f', as far as can be told here. {untried}' if untried else ''}", flush=True)
    return code


def shorten(reference: str) -> str:
    """Return a name with its middle left out where it would fill the screen."""
    return reference if len(reference) <= 120 else f"{reference[:80]}…{reference[-20:]}"


def _render(reference: str, overrides: list[str]) -> str:
    from rlkit.recipe import find_recipe, load_recipe, shipped_launch_files
    from rlkit.recipe.yaml_text import format_yaml

    launch_files = shipped_launch_files()
    if reference in launch_files:
        if overrides:
            raise ConfigError(
                f"{reference} is a launch file, not a recipe, so --set cannot change it; copy and edit it."
            )
        return launch_files[reference].read_text(encoding="utf-8")
    header = _header(find_recipe(reference))
    body = format_yaml(load_recipe(reference, overrides).to_mapping())
    return "".join(f"{line}\n" for line in header) + body


def _purpose(path: Path) -> str:
    """Return the first line of a file's header that is a sentence."""
    lines = [line.lstrip("# ") for line in _header(path) if not line.startswith("#!")]
    return lines[0] if lines else ""


def _header(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:end]
