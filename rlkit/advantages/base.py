"""The shape every advantage transform has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from rlkit.advantages.context import GroupContext
from rlkit.errors import ConfigError
from rlkit.parameters import show, to_recipe_name

_LARGEST = 1e100
"""Squares of larger values would soon be infinite, and everything divided by their sum 0."""

Array = TypeVar("Array", torch.Tensor, np.ndarray)


@dataclass(frozen=True)
class Transform:
    """A pure map from values (P, G) to values (P, G); subclasses implement `apply`.

    Calling it accepts a torch tensor or a numpy array of any float type and returns the same kind. The arithmetic is
    done in float64 on the CPU: groups are small, and rounding there would show up as signal where there is none. NaN
    marks completions that carry no signal and stays NaN.
    """

    def __call__(self, values_PG: Array, ctx: GroupContext | None = None) -> Array:
        """Return the transformed values.

        Args:
            values_PG: shape (P, G); NaN where there is no signal.
            ctx: what else is known of the groups.

        Raises:
            ConfigError: `values_PG` is not two-dimensional, or holds an infinite value or one beyond 1e100 in size; a
                field of `ctx` is of other prompts or completions; the result is infinite.
            MissingInputError: the transform needs a field that `ctx` lacks.
        """
        given, values = self._read(values_PG)
        ctx = ctx or GroupContext()
        ctx.check_shapes((values.shape[0], values.shape[1]), self.name)
        result = self.apply(values, ctx)
        if isinstance(values_PG, np.ndarray):
            dtype = values_PG.dtype if values_PG.dtype.kind == "f" else np.dtype(np.float64)
            with np.errstate(over="ignore"):
                returned = result.numpy().astype(dtype)
            overflows = np.isinf(returned).any()
        else:
            returned = result.to(dtype=given.dtype if given.is_floating_point() else torch.float32, device=given.device)
            overflows = returned.isinf().any()
        if overflows:
            raise ConfigError(f"{self.name} made an infinite value; its parameters or the rewards are too large.")
        return returned

    def _read(self, values_PG: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the values as they are and as float64 on the CPU, or refuse them."""
        try:
            given = torch.as_tensor(values_PG).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(f"{self.name} was given {show(values_PG)}; it takes numbers, NaN for none.") from error
        if given.ndim != 2 or given.shape[1] == 0 or given.is_complex():
            raise ConfigError(
                f"{self.name} was given values of shape {tuple(given.shape)} and type {given.dtype}; it takes real "
                "numbers of shape (prompts, completions), at least one completion a prompt."
            )
        values = given.to(dtype=torch.float64, device="cpu")
        if values.isinf().any():
            raise ConfigError(
                f"{self.name} was given an infinite value; rewards must be finite, or None where there is none."
            )
        if (values.abs() > _LARGEST).any():
            raise ConfigError(f"{self.name} was given a value beyond {_LARGEST:g} in size; scale the rewards down.")
        return given, values

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        """Return the transformed values; float64 on the CPU in, the same out."""
        raise NotImplementedError

    @property
    def needs(self) -> frozenset[str]:
        """The fields of `GroupContext` without which `apply` raises; a trainer provides what its chain needs."""
        return frozenset()

    @property
    def min_group_size(self) -> int:
        """The fewest completions a prompt may have; with fewer the transform is refused before training."""
        return 1

    @property
    def name(self) -> str:
        """How a recipe calls this transform, e.g. `subtract_group_mean`."""
        return to_recipe_name(type(self).__name__)


def count_scored(values_PG: torch.Tensor) -> torch.Tensor:
    """Return how many completions of each group carry a value, shape (P, 1)."""
    return (~values_PG.isnan()).sum(dim=1, keepdim=True)


def nan_std(values: torch.Tensor, ddof: int, dim: int | None = None) -> torch.Tensor:
    """Return the standard deviation over the values that are not NaN; NaN where at most `ddof` of them are left."""
    count = (~values.isnan()).sum(dim=dim, keepdim=dim is not None)
    mean = values.nanmean(dim=dim, keepdim=dim is not None) if dim is not None else values.nanmean()
    squares = (
        ((values - mean) ** 2).nansum(dim=dim, keepdim=True) if dim is not None else ((values - mean) ** 2).nansum()
    )
    return (squares / torch.where(count > ddof, count - ddof, torch.nan)).sqrt()
