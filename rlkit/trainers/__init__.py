"""Thin subclasses of TRL's trainers; the only package that imports trl."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "DiverseGRPOConfig": "rlkit.trainers.config",
    "DiverseGRPOTrainer": "rlkit.trainers.grpo",
    "DiversePPOConfig": "rlkit.trainers.ppo.config",
    "DiversePPOTrainer": "rlkit.trainers.ppo.trainer",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    # Importing trl takes seconds, and a mistake in a recipe should be told before that.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
