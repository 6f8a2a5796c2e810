"""How several rewards become one number: a weighted sum of bases, changed by modifiers, less penalties.

    total = modifier_n(... modifier_1(sum of weight x base)) x its weight + sum of weight x penalty

NaN is *not scored*. It never counts as 0: a completion that no base scored has no total, whatever its penalties say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]


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
