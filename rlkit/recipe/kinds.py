"""The kinds of recipe, `kind: rl` where a recipe names none: one row a kind says how its mapping becomes a recipe.

A further kind is a frozen dataclass with `kind`, `output` and `to_mapping()`, a function that builds it from a plain
mapping, and a row here; `cli/kinds.py` has the other half of the row, how it is checked and run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import show
from rlkit.recipe.rounds import build_rounds_recipe
from rlkit.recipe.schema import build_rl_recipe
from rlkit.recipe.sft import build_sft_recipe
from rlkit.recipe.source import read_mapping

DEFAULT_KIND = "rl"


class RunRecipe(Protocol):
    """What recipes of all kinds have, and all that a run directory asks of one."""

    @property
    def kind(self) -> str:
        """The key of `BUILDERS`."""

    @property
    def output(self) -> str:
        """The run directory."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the recipe as plain data that `build_recipe` reads back; the kind is said unless it is the default."""


BUILDERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "rl": build_rl_recipe,
    "sft": build_sft_recipe,
    "rounds": build_rounds_recipe,
}
"""Kind -> what makes a recipe of a mapping without the key `kind`."""


def load_recipe(reference: str, overrides: Iterable[str] = ()) -> Any:
    """Read a recipe file or shipped recipe, with `--set` overrides, into a recipe of its kind.

    Raises:
        ConfigError: as `read_mapping` and `build_recipe` say.
    """
    return build_recipe(read_mapping(reference, overrides))


def build_recipe(values: Mapping[str, Any]) -> Any:
    """Turn a plain mapping into a recipe of the kind that it names; keys of older recipes are read as what they became.

    Returns:
        A `RunRecipe`; which class, the kind says.

    Raises:
        ConfigError: no such kind, an unknown or missing key, or a value of the wrong kind.
    """
    values = dict(values)
    kind = values.pop("kind", DEFAULT_KIND)
    if not isinstance(kind, str) or kind not in BUILDERS:
        raise ConfigError(f"kind was given as {show(kind)}.{suggest(str(kind), BUILDERS)}")
    return BUILDERS[kind](values)
