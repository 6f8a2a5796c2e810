"""Transforms that a user wrote: whatever they do, the chain goes on with values (P, G) or stops with one sentence."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import torch

from rlkit.advantages.context import GroupContext
from rlkit.errors import ConfigError, PluginError, RlkitError, suggest
from rlkit.parameters import show
from rlkit.plugins import blame_plugin

_FIELDS = frozenset(field.name for field in dataclasses.fields(GroupContext))


def check_transform(transform: Any) -> None:
    """Refuse what cannot stand in a chain, before anything is loaded.

    Raises:
        ConfigError: it cannot be called with values and a context, or its `needs` or `min_group_size`, which it may
            leave out, are no names of context fields or no whole number.
    """
    if not callable(transform) or inspect.isclass(transform):
        raise ConfigError(
            f"An advantage chain was given {show(transform)}, which cannot be called as f(values_PG, ctx)."
        )
    name = name_transform(transform)
    try:
        inspect.signature(transform).bind(None, None)
    except TypeError as error:
        raise ConfigError(f"The advantage {name!r} cannot be called as f(values_PG, ctx): {error}.") from error
    except ValueError:
        # Something compiled, which does not say what it takes.
        pass
    needs: Any = getattr(transform, "needs", frozenset())
    if isinstance(needs, str) or not isinstance(needs, set | frozenset | list | tuple):
        raise ConfigError(f"The advantage {name!r} has needs={show(needs)}; write a set of fields such as labels_PG.")
    for field in needs:
        if field not in _FIELDS:
            hint = suggest(str(field), _FIELDS)
            raise ConfigError(f"The advantage {name!r} needs {show(field)}, which no group has.{hint}")
    size = getattr(transform, "min_group_size", 1)
    if isinstance(size, bool) or not isinstance(size, int):
        raise ConfigError(f"The advantage {name!r} has min_group_size={show(size)}; write a whole number.")


def run_own(transform: Any, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
    """Return what a user's transform makes of copies of the values and the context, as float64 on the CPU.

    Tensors, arrays and nested lists of numbers are taken; NaN says "no signal".

    Raises:
        PluginError: it raises, or what it returns is not one number a completion.
        ConfigError: one of the numbers is infinite.
    """
    name = name_transform(transform)
    try:
        given = transform(values_PG.clone(), _copy_context(ctx))
    except RlkitError:
        raise
    except Exception as error:
        raise blame_plugin(error, f"The advantage {name!r}") from error
    try:
        result_PG = torch.as_tensor(given).detach()
    except (TypeError, ValueError, RuntimeError):
        raise PluginError(
            f"The advantage {name!r} returned {show(given)}; return one number a completion, NaN for no signal."
        ) from None
    if result_PG.shape != values_PG.shape or result_PG.is_complex():
        raise PluginError(
            f"The advantage {name!r} returned {_describe(result_PG)}; return one number a completion, "
            f"shape {tuple(values_PG.shape)}."
        )
    result_PG = result_PG.to(dtype=torch.float64, device="cpu")
    if result_PG.isinf().any():
        raise ConfigError(f"The advantage {name!r} returned an infinite value; return NaN where there is no signal.")
    return result_PG


def name_transform(transform: Any) -> str:
    """Return how messages and tables call a transform: its own name, or that of its function or class."""
    name = getattr(transform, "name", None) or getattr(transform, "__name__", None)
    return name if isinstance(name, str) else type(transform).__name__


def _describe(values: torch.Tensor) -> str:
    return f"values of shape {tuple(values.shape)}" + (", complex ones" if values.is_complex() else "")


def _copy_context(ctx: GroupContext) -> GroupContext:
    def copy(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.detach().clone()
        return value.copy() if isinstance(value, np.ndarray) else value

    return GroupContext(**{field.name: copy(getattr(ctx, field.name)) for field in dataclasses.fields(ctx)})
