"""What a recipe of an RL run may say: its top-level keys, what each takes, and the frozen object they become.

`kinds.py` finds the kind of a recipe; what recipes of all kinds are checked by stands here too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_number, show
from rlkit.recipe.fields import check_value
from rlkit.recipe.renamed import rename_older_keys
from rlkit.types import PluginSpec


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One RL run, as the user describes it; files that exist beside the recipe are named by their whole path."""

    kind: ClassVar[str] = "rl"
    model: str
    """A directory, the name of a bundled model, or a hub id; the first that exists wins."""
    task: PluginSpec
    """Where prompts and their verifier come from."""
    output: str
    """The run directory."""
    advantage: PluginSpec | list[PluginSpec] | None = None
    """A preset or a chain of transforms; None leaves the advantages to TRL."""
    objective: PluginSpec | list[PluginSpec] | None = None
    """Token weights, anchor and rehearsal, or a preset of them; None leaves the loss to TRL."""
    archive: dict[str, Any] | str | list[str] | None = None
    """Solutions that are learnt from beside the rollouts: where they are, and how; None for none."""
    sampler: PluginSpec | None = None
    """Who draws the rollouts: the policy, its initial weights, or weights that lag behind; None is the policy."""
    partition: PluginSpec | None = None
    """What counts as the same answer; None takes the task's own."""
    answers: PluginSpec | None = None
    """Partition that reads the final answer, for chains that count answers; None takes `final_answer`."""
    embedding: PluginSpec | None = None
    """How completions become vectors, for chains that measure similarity."""
    rewards: list[PluginSpec] | None = None
    """Reward plug-ins; None takes the task's own."""
    reward_weights: list[float] | None = None
    """One weight a reward; None weighs all 1."""
    max_error_rate: float | None = None
    """Greatest share of a reward's calls that may fail before the run stops, from 0 to 1; None is 0.05."""
    monitor: dict[str, Any] | None = None
    """When to warn of a hacked reward, and a verifier that is held out of training; None takes the defaults."""
    trainer: str | None = None
    """The algorithm: `grpo`, whose baseline is a group, or `ppo`, whose baseline is a critic; None is `grpo`."""
    critic: PluginSpec | None = None
    """Of `ppo`: where the critic lives and how it learns; None is a head on the policy."""
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of DiverseGRPOConfig or DiversePPOConfig, which have all of TRL's GRPOConfig, by their own names."""
    peft: dict[str, Any] | None = None
    """Fields of peft's LoraConfig; None trains all weights."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the recipe as plain data in the order above, without the keys that say nothing."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {key: value for key, value in values.items() if value is not None}


_TAKES: dict[str, tuple[Any, str]] = {
    "model": (str, "a directory, a bundled model's name or a hub id"),
    "task": (str | dict, "a name or {name: ..., parameter: ...}"),
    "output": (str, "a directory"),
    "advantage": (str | dict | list | None, "a name, {name: ..., parameter: ...} or a list of these"),
    "objective": (str | dict | list | None, "a preset, {token_weights: ..., anchor: ..., rehearsal: ...} or a list"),
    "archive": (dict | str | list | None, "a mapping such as {from: [PATH], coef: 1.0}, or paths alone"),
    "sampler": (str | dict | None, "policy, frozen, {ema: 0.99} or {every: 50}"),
    "partition": (str | dict | None, "a name or {name: ..., parameter: ...}"),
    "answers": (str | dict | None, "a name or {name: ..., parameter: ...}"),
    "embedding": (str | dict | None, "a name or {name: ..., parameter: ...}"),
    "rewards": (list | None, "a list of names or {name: ..., parameter: ...}"),
    "reward_weights": (list[float] | None, "a list of numbers, one a reward"),
    "max_error_rate": (float | None, "a share from 0 to 1"),
    "monitor": (dict | None, "a mapping of held_out and thresholds"),
    "trainer": (str | None, "grpo or ppo"),
    "critic": (str | dict | None, "shared, separate, adapter or {kind: ..., parameter: ...}"),
    "train": (dict, "a mapping of trainer settings"),
    "peft": (dict | None, "a mapping of LoRA settings"),
}
_PARTS_OF_OBJECTIVE = ("token_weights", "anchor", "rehearsal")
TRAINERS = ("grpo", "ppo")
"""What `trainer` takes; the first is the default."""
_REQUIRED = ("model", "task", "output")

_TOP_LEVEL = (
    *("advantage", "objective", "archive", "sampler", "partition", "answers", "embedding"),
    *("reward_weights", "max_error_rate", "monitor", "trainer", "critic"),
)
_ELSEWHERE = {
    "output_dir": "output",
    **{key: key for key in _TOP_LEVEL},
}
"""Trainer settings that a recipe says at its top level, because more than the trainer reads them."""


def build_rl_recipe(values: Mapping[str, Any]) -> Recipe:
    """Turn a plain mapping into a `Recipe`; keys of older recipes are read as what they became.

    Raises:
        ConfigError: an unknown or missing key, a value of the wrong kind, or a setting in the wrong section.
    """
    values = rename_older_keys(values)
    for key in values:
        if key in _PARTS_OF_OBJECTIVE:
            raise ConfigError(f"A recipe has no key {key!r} at its top level; write it under objective:.")
    recipe = Recipe(**check_keys(values, _TAKES, _REQUIRED))
    check_train_section(recipe.train, _ELSEWHERE)
    _check_weights(recipe)
    _check_trainer(recipe)
    if recipe.max_error_rate is not None:
        check_number("A recipe", "max_error_rate", recipe.max_error_rate, at_least=0, at_most=1)
    return recipe


def check_keys(
    values: Mapping[str, Any], takes: Mapping[str, tuple[Any, str]], required: Sequence[str], kind: str = ""
) -> dict[str, Any]:
    """Return the top-level values of a recipe, each of the kind that its key takes.

    Args:
        values: what the recipe says.
        takes: key -> annotation, and what it takes in words.
        required: keys that must be there.
        kind: of the recipe, for messages; empty for the default.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong kind.
    """
    which = f" of kind {kind}" if kind else ""
    for key in values:
        if key not in takes:
            hint = suggest(str(key), takes)
            raise ConfigError(
                f"A recipe{which} has no key {key!r} at its top level; the trainer's settings go under train.{hint}"
            )
    missing = [key for key in required if values.get(key) in (None, "")]
    if missing:
        raise ConfigError(f"The recipe names no {missing[0]}; write {missing[0]}: followed by {takes[missing[0]][1]}.")
    if "train" in values and values["train"] is None:
        values = {**values, "train": {}}
    return {key: check_value(value, takes[key][0], key, takes[key][1]) for key, value in values.items()}


def check_train_section(train: Mapping[str, Any], elsewhere: Mapping[str, str]) -> None:
    """Raise ConfigError for a setting that a recipe says at its top level; `elsewhere` has its name there."""
    for key in train:
        if key in elsewhere:
            raise ConfigError(f"train.{key} is said at the top level of a recipe; write {elsewhere[key]}: there.")


def _check_trainer(recipe: Recipe) -> None:
    if recipe.trainer not in (None, *TRAINERS):
        raise ConfigError(f"trainer was given as {show(recipe.trainer)}.{suggest(str(recipe.trainer), TRAINERS)}")
    if recipe.critic is not None and recipe.trainer != "ppo":
        raise ConfigError("critic is of a run whose baseline is one; write trainer: ppo, or leave critic out.")


def _check_weights(recipe: Recipe) -> None:
    if recipe.rewards == []:
        raise ConfigError("rewards is an empty list; name at least one, or leave the key out to take the task's own.")
    if recipe.rewards is None or recipe.reward_weights is None:
        return
    if len(recipe.rewards) != len(recipe.reward_weights):
        given = f"{len(recipe.rewards)} rewards and {len(recipe.reward_weights)} reward_weights"
        raise ConfigError(f"The recipe names {given}; give one weight a reward.")


def differences(here: Any, there: Any) -> list[str]:
    """Return a phrase for each setting but `output` in which two recipes differ: `train.seed is 0 there, 1 here`."""
    left, right = _flatten(here.to_mapping()), _flatten(there.to_mapping())
    unset = "not set"
    return [
        f"{key} is {right.get(key, unset)!r} there, {left.get(key, unset)!r} here".replace(repr(unset), unset)
        for key in dict.fromkeys([*left, *right])
        if key != "output" and left.get(key, unset) != right.get(key, unset)
    ]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat.update(_flatten(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value})
    return flat
