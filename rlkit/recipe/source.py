"""From what the user names to one plain mapping: find the file, follow `extends`, apply `--set`.

Nothing is judged here beyond its shape; `schema.py` says which keys exist.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import show
from rlkit.recipe.yaml_text import parse_yaml

INHERITED_BY_KEY = ("train", "peft")
"""Sections whose keys are inherited one by one through `extends`; every other key is replaced as a whole, because the
parameters of one plug-in mean nothing to another."""

_NOT_TRAINING = ("accelerate", "slurm", "base_model")
"""Shipped folders whose files `rlkit train` cannot run; nor can it run a `base.yaml`, which others extend."""


def find_recipe(reference: str) -> Path:
    """Return the file a recipe is read from: an existing path wins, then the name of a shipped recipe.

    Args:
        reference: a path such as `mine.yaml`, or a shipped name such as `countdown/grpo` (with or without `.yaml`).

    Raises:
        ConfigError: neither a file nor a shipped recipe is called that.
    """
    path = Path(os.path.expanduser(reference))
    if _is_file(path):
        return path
    shipped = shipped_recipes()
    name = reference.removesuffix(".yaml")
    if name in shipped:
        return shipped[name]
    if _is_nameable(path) and path.is_dir():
        raise ConfigError(
            f"{reference!r} is a directory; name a recipe file in it, or a shipped recipe such as countdown/grpo."
        )
    raise ConfigError(
        f"There is no recipe {show(reference)}: no such file, and no shipped recipe of that name."
        f"{suggest(name[:99], shipped, 'rlkit recipes list')}"
    )


def _is_file(path: Path) -> bool:
    return _is_nameable(path) and path.is_file()


def _is_nameable(path: Path) -> bool:
    """Return whether a file of such a name could exist: systems refuse to look for one of a thousand letters."""
    try:
        path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise
    return True


def shipped_recipes(with_bases: bool = False) -> dict[str, Path]:
    """Return the shipped training recipes by name, e.g. `countdown/grpo`; launch configurations are not among them.

    Args:
        with_bases: also what is no run by itself but can be extended, e.g. `countdown/base`.
    """
    root = _shipped_root()
    files = [
        path
        for path in sorted(root.glob("*/*.yaml"))
        if path.parent.name not in _NOT_TRAINING and (with_bases or path.stem != "base")
    ]
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in files}


def shipped_launch_files() -> dict[str, Path]:
    """Return what recipes are launched with by name, e.g. `accelerate/zero2.yaml` and `slurm/train.sbatch`."""
    root = _shipped_root()
    files = [path for folder in ("accelerate", "slurm") for path in sorted((root / folder).glob("*.*"))]
    return {path.relative_to(root).as_posix(): path for path in files}


def _shipped_root() -> Path:
    from rlkit.shipped import shipped_dir

    return shipped_dir("recipes")


def read_mapping(reference: str, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Return everything a recipe says, with what it extends folded in and `key=value` overrides applied, in that order.

    Args:
        reference: as for `find_recipe`.
        overrides: `dotted.key=value` texts; the values are YAML.

    Raises:
        ConfigError: no such file, not a YAML mapping, a circle of `extends`, or an override that cannot be applied.
    """
    values = _read_file(find_recipe(reference), ())
    apply_overrides(values, overrides)
    return values


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> None:
    """Change what a recipe says by `key=value` texts; raises ConfigError for one that cannot be applied."""
    for override in overrides:
        _override(values, override)


def _read_file(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in children:
        raise ConfigError(f"{path} extends itself by way of {' -> '.join(child.name for child in children)}.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} holds no settings; a recipe is a YAML mapping with the keys model, task, output and train."
        )
    values = _locate(values, path.parent)
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise ConfigError(
            f"{path} extends {show(parent)}; write one recipe, a path seen from this one or a shipped name."
        )
    return _inherit(_read_file(_find_parent(parent, path), (*children, path)), values)


_FILE = re.compile(r"(?P<file>.+\.(?:py|yaml|yml|jsonl|json|csv|parquet|jinja))(?P<thing>:\w+)?")


def _locate(value: Any, folder: Path, key: str = "", known: dict[tuple[int, str], Any] | None = None) -> Any:
    """Return what a recipe says with the files it names seen from the recipe's folder, where they exist there.

    That is the value of `path`, `from` and `model`, and every text that ends like a file, perhaps followed by `:thing`.
    What is not there is left to be seen from the working directory, and so is what is the same seen from either.
    """
    # A list that YAML's aliases name a billion times is one list; it is looked through once, and stays one.
    known = {} if known is None else known
    place = (id(value), key)
    if isinstance(value, dict):
        if place not in known:
            known[place] = {name: _locate(inner, folder, str(name), known) for name, inner in value.items()}
        return known[place]
    if isinstance(value, list):
        if place not in known:
            known[place] = [_locate(inner, folder, key, known) for inner in value]
        return known[place]
    if not isinstance(value, str) or key in ("extends", "output", "output_dir"):
        return value
    named = _FILE.fullmatch(value)
    if named is None and not (key in ("path", "from") or (key == "model" and value.startswith("."))):
        return value
    file, thing = (named["file"], named["thing"] or "") if named else (value, "")
    there = folder / os.path.expanduser(file)
    if os.path.isabs(file) or not _is_nameable(there) or not there.exists() or there.resolve() == Path(file).resolve():
        return value
    return f"{there}{thing}"


def _find_parent(parent: str, path: Path) -> Path:
    """Return the file that the recipe at `path` extends: one seen from there wins, then a shipped recipe."""
    base = path.parent / os.path.expanduser(parent)
    if _is_file(base):
        return base
    shipped, name = shipped_recipes(with_bases=True), parent.removesuffix(".yaml")
    if name in shipped:
        return shipped[name]
    raise ConfigError(
        f"{path} extends {show(parent)}, but there is no such file, seen from there, and no shipped recipe of that "
        f"name.{suggest(name[:99], shipped, 'rlkit recipes list')}"
    )


def _inherit(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **own}
    for section in INHERITED_BY_KEY:
        if isinstance(base.get(section), Mapping) and isinstance(own.get(section), Mapping):
            merged[section] = {**base[section], **own[section]}
    return merged


def _override(values: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override!r} is not of the form key=value, e.g. --set train.learning_rate=1e-4.")
    inner: dict[str, Any] = values
    for depth, key in enumerate(keys[:-1]):
        here = inner.get(key)
        if isinstance(here, str):
            # `task: countdown` and `task: {name: countdown}` say the same, so a parameter can be added to either.
            here = {"name": here}
        elif here is None:
            here = {}
        elif not isinstance(here, dict):
            place = ".".join(keys[: depth + 1])
            raise ConfigError(f"--set {override!r} reaches into {place}, which is {here!r}; set {place} as a whole.")
        inner[key] = dict(here)
        inner = inner[key]
    inner[keys[-1]] = parse_yaml(text, f"--set {override!r}")
