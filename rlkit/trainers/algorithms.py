"""Which configuration and which trainer the word `trainer` of a recipe means; imported when they are asked for."""

from __future__ import annotations

import importlib
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

from rlkit.recipe import Recipe
from rlkit.recipe.fitting import has_critic

_CONFIGS = {
    "grpo": "rlkit.trainers.config:DiverseGRPOConfig",
    "ppo": "rlkit.trainers.ppo.config:DiversePPOConfig",
}


def config_class(recipe: Recipe) -> type:
    """Return the class of the trainer's configuration."""
    module, _, name = _CONFIGS[recipe.trainer or "grpo"].partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


def trainer_class(config: Any) -> type:
    """Return the trainer that a configuration is of."""
    if has_critic(config):
        from rlkit.trainers.ppo.trainer import DiversePPOTrainer

        return DiversePPOTrainer
    from rlkit.trainers.grpo import DiverseGRPOTrainer

    return DiverseGRPOTrainer


def with_defaults(owner: type, given: Any) -> SimpleNamespace:
    """Return settings with what the configuration says where they are silent, as attributes; it is not built."""
    return SimpleNamespace(**{**{field.name: field.default for field in fields(owner)}, **given})
