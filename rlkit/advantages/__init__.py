"""Rewards of a group in, advantages of a group out: small transforms, composed by `chain`, named by recipes.

An algorithm is a list of transforms read from top to bottom; the chain starts from the summed rewards of shape (P, G).
NaN means *no signal from this completion*; transforms carry it to the end, where the trainer masks it and counts it.
Every class of `TRANSFORMS` can be imported from here.
"""

from importlib import import_module
from typing import Any

from rlkit.advantages.base import Array, Chain, Transform, check_roles, compose_rewards
from rlkit.advantages.context import GroupContext
from rlkit.advantages.counts import AnswerCounts, PassRates
from rlkit.advantages.naming import ADVANTAGES, TRANSFORMS, chain, resolve

__all__ = [
    "ADVANTAGES",
    "TRANSFORMS",
    "AnswerCounts",
    "Array",
    "Chain",
    "GroupContext",
    "PassRates",
    "Transform",
    "chain",
    "check_roles",
    "compose_rewards",
    "resolve",
]


def __getattr__(name: str) -> Any:
    for where in TRANSFORMS:
        module, _, class_name = where.partition(":")
        if class_name == name:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"rlkit.advantages has nothing called {name!r}.")
