"""What a base model is made from: which problems, which shape, how many walks; read strictly from YAML."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from base_model.corpus import Problems
from rlkit.errors import ConfigError, suggest


@dataclasses.dataclass(frozen=True)
class ModelShape:
    """A plain Llama with tied embeddings and as many key-value heads as heads."""

    hidden_size: int = 160
    intermediate_size: int = 432
    num_layers: int = 4
    num_heads: int = 5
    max_length: int = 128
    """Longest sequence in tokens; more than any answer, so that the model can be served with room."""


@dataclasses.dataclass(frozen=True)
class CorpusSize:
    """How many random walks, of which seed."""

    num_rows: int = 384_000
    """Each is learnt once."""
    wrong_target_share: float = 0.05
    """Share of the walks, in [0, 1), that are shown under a random target: what makes the reasoner imperfect."""
    seed: int = 0
    """Of the walks, and of the untrained weights."""


@dataclasses.dataclass(frozen=True)
class BaseModelRecipe:
    """What one base model is made from; how it learns is a recipe of `rlkit sft` beside."""

    problems: Problems
    model: ModelShape
    corpus: CorpusSize


def load_recipe(path: Path) -> BaseModelRecipe:
    """Read a recipe; raises ConfigError for a missing file, an unknown section or key, or a value of the wrong type."""
    if not path.is_file():
        raise ConfigError(f"The base model recipe {path} does not exist.")
    given = yaml.safe_load(path.read_text()) or {}
    sections = {"problems": Problems, "model": ModelShape, "corpus": CorpusSize}
    _refuse_unknown(given, sections, f"section in {path}")
    return BaseModelRecipe(
        **{name: _read_section(kind, name, given.get(name) or {}) for name, kind in sections.items()}
    )


def _read_section(kind: type, name: str, given: dict[str, Any]) -> Any:
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    _refuse_unknown(given, defaults, f"key in section {name!r}")
    for key, value in given.items():
        wanted = type(defaults[key])
        if isinstance(value, bool) or not isinstance(value, (int, float) if wanted is float else wanted):
            raise ConfigError(f"{name}.{key} was given as {value!r}; write a number like {defaults[key]!r}.")
    return kind(**given)


def _refuse_unknown(given: Any, allowed: dict[str, Any], what: str) -> None:
    if not isinstance(given, dict):
        raise ConfigError(f"Expected a mapping where {given!r} stands; allowed keys: {', '.join(sorted(allowed))}.")
    for key in given:
        if key not in allowed:
            raise ConfigError(f"There is no {what} called {key!r}.{suggest(str(key), allowed)}")
