"""Keys of older recipes: each is read as the one that it became, with a line that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlkit.errors import ConfigError
from rlkit.terminal import note

RENAMED = {
    "train.tokens_per_pass": "train.max_tokens_per_microbatch",
}
"""Older key -> what it is now; `section.key`, or a key of the top level."""


def rename_older_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's values under today's keys.

    Raises:
        ConfigError: a key is given under both of its names.
    """
    values = dict(values)
    for older, newer in RENAMED.items():
        section, _, key = older.rpartition(".")
        home = values.get(section) if section else values
        if not isinstance(home, Mapping) or key not in home:
            continue
        name = newer.rpartition(".")[2]
        if name in home:
            raise ConfigError(f"A recipe names both {older} and {newer}, which is its name now; keep {newer}.")
        note(f"The recipe key {older} is now {newer}; it is read as that.")
        renamed = {name if given == key else given: value for given, value in home.items()}
        values = {**values, section: renamed} if section else renamed
    return values
