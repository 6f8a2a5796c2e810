"""What a recipe of rounds, `kind: rounds`, may say, and the frozen object that it becomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from rlkit.archive import WEIGHTS
from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_count, check_number, show
from rlkit.recipe.schema import check_keys
from rlkit.recipe.sft import SftRecipe, build_sft_recipe
from rlkit.types import PluginSpec

STARTS = ("base", "last")
_HELD_OUT = {"split": "test", "n": 64, "limit": 200, "temperature": 1.0}
_SAMPLING = ("max_tokens", "top_p", "top_k", "min_p", "seed")


@dataclasses.dataclass(frozen=True)
class RoundsRecipe:
    """Draw, keep what is new, fine-tune, evaluate; several times."""

    kind: ClassVar[str] = "rounds"

    model: str
    """What the first round draws from: a directory, a bundled model or a hub id."""
    task: PluginSpec
    """Gives the problems."""
    output: str
    """Directory of all rounds."""
    rounds: int = 3
    """Most rounds."""
    samples: int = 16
    """Samples a problem, temperature and round."""
    problems: int | None = None
    """First problems of the training split that are drawn for; None for all."""
    temperature: list[float] = dataclasses.field(default_factory=lambda: [1.0])
    """Each round draws `samples` at each."""
    draw_from: str = "last"
    """Who draws after the first round: `model` (`base`), or the round before (`last`). What a model finds is what it
    already prefers, so that `last` finds more a sample and `base` narrows less."""
    start_from: str = "base"
    """What each round fine-tunes: `model` (`base`), or the round before (`last`)."""
    partition: PluginSpec | None = None
    """What tells solutions apart; None for the task's own."""
    weights: str = "equal"
    """A rule of weighting of archives."""
    per_problem: int | None = None
    """Most solutions a problem that are learnt; None for all."""
    negatives: float = 0.0
    """Weight of this round's wrong samples, which are pushed down; 0 for none."""
    sampling: dict[str, Any] = dataclasses.field(default_factory=dict)
    """`max_tokens`, `top_p`, `top_k`, `min_p`, `seed` of drawing and of evaluating."""
    engine: PluginSpec | None = None
    """What samples; None for hf."""
    sft: dict[str, Any] = dataclasses.field(default_factory=dict)
    """`train`, `peft` and `hold_out` of a recipe of kind sft."""
    held_out: dict[str, Any] = dataclasses.field(default_factory=dict)
    """`split`, `n`, `limit` and `temperature` (one, or a list) of the evaluation of each round."""
    stop: bool = True
    """End when neither coverage nor pass@n of the held-out problems rose beyond the 95 % interval; where no problem's
    solutions are all known, distinct correct solutions stand for coverage."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the recipe as plain data in the order above, without the keys that say nothing."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"kind": self.kind, **{key: value for key, value in values.items() if value is not None}}

    @property
    def folder(self) -> str:
        """`output` as a path that every stage understands."""
        return str(Path(self.output).expanduser())

    def evaluation(self) -> dict[str, Any]:
        """Return the options of `rlkit eval` on the held-out problems; solutions are told apart as in the archive."""
        return self._options({"partition": self.partition, **_HELD_OUT, **self.held_out})

    def draw(self, number: int) -> dict[str, Any]:
        """Return the options of `rlkit eval` on the training problems in a round, counted from 1.

        Each round has a seed of its own: models that differ little would give the same samples again, counted as new.
        """
        asked = {"split": "train", "n": self.samples, "limit": self.problems, "temperature": self.temperature}
        return self._options(asked | {"seed": self.sampling.get("seed", 0) + number - 1})

    def _options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        options = {"task": self.task, **self.sampling, "engine": self.engine, **asked}
        return {key: value for key, value in options.items() if value is not None}

    def fine_tuning(self, number: int) -> SftRecipe:
        """Return the recipe of a round's fine-tuning, counted from 1."""
        data: dict[str, Any] = {
            "name": "archive",
            "path": f"{self.folder}/round-{number}/archive.jsonl",
            "weights": self.weights,
        }
        if self.per_problem is not None:
            data["per_problem"] = self.per_problem
        values: dict[str, Any] = {
            "model": self._model(self.start_from, number),
            "data": data,
            "output": f"{self.folder}/round-{number}/sft",
            **self.sft,
        }
        if self.negatives:
            wrong = {"name": "evaluation", "path": f"{self.folder}/round-{number}/draws", "take": "wrong"}
            values["negatives"] = {"data": wrong, "weight": self.negatives}
        return build_sft_recipe(values)

    def sampler(self, number: int) -> str:
        """Return the model that a round draws from."""
        return self._model(self.draw_from, number)

    def _model(self, which: str, number: int) -> str:
        return self.model if which == "base" or number == 1 else f"{self.folder}/round-{number - 1}/sft/model"


_TAKES: dict[str, tuple[Any, str]] = {
    "model": (str, "a directory, a bundled model's name or a hub id"),
    "task": (str | dict, "a task, such as countdown"),
    "output": (str, "a directory"),
    "rounds": (int, "a whole number"),
    "samples": (int, "a whole number"),
    "problems": (int | None, "a whole number, or null for all"),
    "temperature": (float | list, "a temperature, or a list of them"),
    "draw_from": (str, "base or last"),
    "start_from": (str, "base or last"),
    "partition": (str | dict | None, "a partition, or null for the task's own"),
    "weights": (str, "a rule of weighting of archives"),
    "per_problem": (int | None, "a whole number, or null for all"),
    "negatives": (float, "a weight, 0 for none"),
    "sampling": (dict, "a mapping of max_tokens, top_p, top_k, min_p and seed"),
    "engine": (str | dict | None, "an engine, such as hf or vllm"),
    "sft": (dict, "a mapping of train, peft and hold_out"),
    "held_out": (dict, "a mapping of split, n, limit and temperature"),
    "stop": (bool, "true or false"),
}
_SECTIONS = {"sampling": _SAMPLING, "sft": ("train", "peft", "hold_out"), "held_out": tuple(_HELD_OUT)}


def build_rounds_recipe(values: Mapping[str, Any]) -> RoundsRecipe:
    """Turn a plain mapping into a `RoundsRecipe`.

    Raises:
        ConfigError: an unknown or missing key, a value of the wrong kind or out of range.
    """
    checked = check_keys(values, _TAKES, ("model", "task", "output"), "rounds")
    if isinstance(checked.get("temperature"), float):
        checked["temperature"] = [checked["temperature"]]
    recipe = RoundsRecipe(**checked)
    for section, known in _SECTIONS.items():
        for key in getattr(recipe, section):
            if key not in known:
                raise ConfigError(f"{section} of a recipe of rounds has no key {key!r}.{suggest(str(key), known)}")
    for name in ("rounds", "samples", "problems", "per_problem"):
        if getattr(recipe, name) is not None:
            check_count("A recipe of rounds", name, getattr(recipe, name))
    check_number("A recipe of rounds", "negatives", recipe.negatives, at_least=0)
    for name, allowed in (("draw_from", STARTS), ("start_from", STARTS), ("weights", [*WEIGHTS])):
        if getattr(recipe, name) not in allowed:
            given = getattr(recipe, name)
            raise ConfigError(f"{name} was given as {show(given)}.{suggest(str(given), allowed)}")
    check_temperatures("temperature", recipe.temperature)
    check_temperatures("held_out.temperature", recipe.evaluation()["temperature"])
    if recipe.evaluation()["split"] == "train":
        raise ConfigError("held_out.split is train, which rounds learn from; write test, or another split.")
    engine = recipe.engine["name"] if isinstance(recipe.engine, dict) and "name" in recipe.engine else recipe.engine
    if engine == "openai":
        raise ConfigError("engine is openai, but no server has the models that rounds make; write hf or vllm.")
    if recipe.negatives and len(recipe.temperature) > 1:
        raise ConfigError("negatives takes the wrong samples of one temperature; write temperature: 1.0.")
    recipe.fine_tuning(1)
    return recipe


def check_temperatures(key: str, given: Any) -> None:
    """Raise ConfigError unless this is a temperature, or a list of different ones."""
    several = given if isinstance(given, list) else [given]
    for each in several:
        check_number("A recipe of rounds", key, each, at_least=0)
    if not several or len({*several}) < len(several):
        raise ConfigError(f"{key} was given as {show(given)}; write a temperature, or a list with each once.")
