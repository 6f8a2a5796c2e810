"""What a recipe of supervised fine-tuning, `kind: sft`, may say, and the frozen object that it becomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from rlkit.objective.negatives import Negatives
from rlkit.parameters import check_number
from rlkit.recipe.fields import check_fields
from rlkit.recipe.schema import check_keys, check_train_section
from rlkit.types import PluginSpec


@dataclasses.dataclass(frozen=True)
class SftRecipe:
    """One run of supervised fine-tuning, as the user describes it."""

    kind: ClassVar[str] = "sft"

    model: str
    """A directory, the name of a bundled model, or a hub id; the first that exists wins."""
    data: PluginSpec
    """Rows to learn: a file, or {name: jsonl | hub | archive | evaluation, ...}."""
    output: str
    """The run directory."""
    hold_out: float | None = None
    """Share of the problems that is not learnt but watched, above 0 and below 1; None watches none."""
    negatives: dict[str, Any] | None = None
    """`data`, wrong rows, and the fields of `Negatives`; None pushes nothing down."""
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of DiverseSFTConfig, which has all of TRL's SFTConfig, by their own names."""
    peft: dict[str, Any] | None = None
    """Fields of peft's LoraConfig; None trains all weights."""
    evaluate: dict[str, Any] | None = None
    """What `rlkit eval` does with the trained model; None leaves it to the user."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the recipe as plain data in the order above, without the keys that say nothing."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"kind": self.kind, **{key: value for key, value in values.items() if value is not None}}

    def build_negatives(self) -> Negatives | None:
        """Return how negatives are pushed down; None where none are.

        Raises:
            ConfigError: an unknown setting, or one out of range.
        """
        if self.negatives is None:
            return None
        settings = {key: value for key, value in self.negatives.items() if key != "data"}
        return Negatives(**check_fields(settings, Negatives, "negatives"))


_ROWS = "a file of rows, or {name: jsonl | hub | archive | evaluation, ...}"
_TAKES: dict[str, tuple[Any, str]] = {
    "model": (str, "a directory, a bundled model's name or a hub id"),
    "data": (str | dict, _ROWS),
    "output": (str, "a directory"),
    "hold_out": (float | None, "a share between 0 and 1"),
    "negatives": (dict | None, "a mapping of data, weight, rows_per_step, push and max_ratio"),
    "train": (dict, "a mapping of trainer settings"),
    "peft": (dict | None, "a mapping of LoRA settings"),
    "evaluate": (dict | None, "a mapping of task, n, and options of rlkit eval"),
}
_REQUIRED = ("model", "data", "output")
_ELSEWHERE = {"output_dir": "output", **{key: key for key in ("negatives", "hold_out", "evaluate", "data")}}


def build_sft_recipe(values: Mapping[str, Any]) -> SftRecipe:
    """Turn a plain mapping into an `SftRecipe`.

    Raises:
        ConfigError: an unknown or missing key, a value of the wrong kind, or a setting in the wrong section.
    """
    recipe = SftRecipe(**check_keys(values, _TAKES, _REQUIRED, "sft"))
    check_train_section(recipe.train, _ELSEWHERE)
    if recipe.hold_out is not None:
        check_number("A recipe", "hold_out", recipe.hold_out, above=0, below=1)
    recipe.build_negatives()
    return recipe
