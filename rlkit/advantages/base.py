"""From the rewards of a group to its advantages: their total, then one transform after another.

    total = modifier_n(... modifier_1(sum of weight x base)) x its weight + sum of weight x penalty

NaN is *not scored*. It never counts as 0: a completion that no base scored has no total, whatever its penalties say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from rlkit.advantages.context import GroupContext
from rlkit.advantages.user_transforms import run_own
from rlkit.errors import ConfigError
from rlkit.parameters import show, to_recipe_name

FloatArray = NDArray[np.float64]
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

    makes: ClassVar[str] = "rewards"
    """What comes out: other `rewards`, or `advantages` over a baseline of siblings, whose place a critic takes."""

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


def is_ours(transform: Any) -> bool:
    """Return whether a transform is one of this package, which needs no watching."""
    return isinstance(transform, Transform) and type(transform).__module__.startswith("rlkit.")


@dataclass(frozen=True)
class Chain(Transform):
    """Transforms applied one after the other; an empty chain passes rewards through."""

    transforms: tuple[Transform, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        fields = frozenset().union(*(getattr(transform, "needs", ()) for transform in self.transforms))
        return fields - {"summed_rewards_PG"}

    @property
    def min_group_size(self) -> int:
        return max((getattr(transform, "min_group_size", 1) for transform in self.transforms), default=1)

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        stages = self.trace(values_PG, ctx)
        return stages[-1] if stages else values_PG

    def trace(self, values_PG: torch.Tensor, ctx: GroupContext) -> list[torch.Tensor]:
        """Return the values after each transform, in the chain's order; float64 in and out.

        Raises:
            PluginError: a transform of the user's own fails, or returns something other than values (P, G).
        """
        ctx = replace(ctx, summed_rewards_PG=values_PG) if ctx.summed_rewards_PG is None else ctx
        stages = []
        for transform in self.transforms:
            values_PG = transform(values_PG, ctx) if is_ours(transform) else run_own(transform, values_PG, ctx)
            stages.append(values_PG)
        return stages


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


def sum_rewards(rewards_BK: ArrayLike, weights_K: ArrayLike) -> FloatArray:
    """Return the weighted sum of the rewards that scored each row, shape (B,); NaN where none did.

    Args:
        rewards_BK: shape (..., K), NaN where not scored.
        weights_K: shape (K,).
    """
    rewards_BK, weights_K = np.asarray(rewards_BK, dtype=np.float64), np.asarray(weights_K, dtype=np.float64)
    scored_BK = ~np.isnan(rewards_BK)
    sums_B = np.where(scored_BK, rewards_BK * weights_K, 0.0).sum(axis=-1)
    return np.where(scored_BK.any(axis=-1), sums_B, np.nan)


def compose_rewards(rewards_BK: ArrayLike, weights_K: ArrayLike, roles: Sequence[str]) -> FloatArray:
    """Return the total of each row, shape (...,); NaN where it is not scored.

    Args:
        rewards_BK: shape (..., K). The column of a modifier holds what it made of the value before it: it was given
            `value_before` of its place, and its own value replaces that one.
        weights_K: shape (K,). A modifier's weight scales the value it returned.
        roles: `base`, `modifier` or `penalty`, K words.

    Raises:
        ConfigError: the lengths do not agree, a role is none of the three, or there is no base.
    """
    rewards_BK, weights_K = np.asarray(rewards_BK, dtype=np.float64), np.asarray(weights_K, dtype=np.float64)
    _check(rewards_BK, weights_K, roles)
    total_B = value_before(rewards_BK, weights_K, roles, len(roles))
    penalties = [place for place, role in enumerate(roles) if role == "penalty"]
    # A penalty that did not score takes nothing off.
    penalty_B = np.nan_to_num(sum_rewards(rewards_BK[..., penalties], weights_K[penalties]), nan=0.0)
    return total_B + penalty_B


def value_before(rewards_BK: ArrayLike, weights_K: ArrayLike, roles: Sequence[str], place: int) -> FloatArray:
    """Return what the modifier at `place` is given: the bases' sum, or what the modifier before it made of that."""
    rewards_BK, weights_K = np.asarray(rewards_BK, dtype=np.float64), np.asarray(weights_K, dtype=np.float64)
    earlier = [k for k in range(min(place, len(roles))) if roles[k] == "modifier"]
    if earlier:
        last = earlier[-1]
        return np.asarray(rewards_BK[..., last] * weights_K[last])
    bases = [k for k, role in enumerate(roles) if role == "base"]
    return sum_rewards(rewards_BK[..., bases], weights_K[bases])


def _check(rewards_BK: FloatArray, weights_K: FloatArray, roles: Sequence[str]) -> None:
    if not rewards_BK.shape[-1] == len(weights_K) == len(roles):
        raise ConfigError(
            f"{rewards_BK.shape[-1]} rewards were given with {len(weights_K)} weights and {len(roles)} roles; "
            "give one of each."
        )
    check_roles(roles)


def check_roles(roles: Sequence[str]) -> None:
    """Raise ConfigError unless every role is one of the three and some reward is a base."""
    if strange := [role for role in roles if role not in ("base", "modifier", "penalty")]:
        raise ConfigError(f"A reward has the role {strange[0]!r}; write base, modifier or penalty.")
    if "base" not in roles:
        raise ConfigError("No reward has the role base, so there is nothing to modify or to take off; name one.")
