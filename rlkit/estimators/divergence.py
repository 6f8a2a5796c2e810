"""Per-token estimates of the KL divergence between a policy and its reference, from log-probs of sampled tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlkit.errors import ConfigError, suggest

if TYPE_CHECKING:
    import torch

Values = TypeVar("Values", NDArray[np.float64], "torch.Tensor")


def kl(logps: Values, ref_logps: Values, estimator: str = "k3") -> Values:
    """Return one estimate a token of KL(policy || reference), in nats.

    Args:
        logps: log-probs of the sampled tokens under the policy that sampled them, any shape.
        ref_logps: log-probs of the same tokens under the reference, same shape.
        estimator: with r = ref_logps - logps,
            `k1` = -r: unbiased, high variance, can be negative;
            `k2` = r**2 / 2: biased, low variance, its gradient is that of the true divergence;
            `k3` = exp(r) - 1 - r: unbiased, never negative; one far-off token can dominate it.

    Returns:
        Same shape and kind (numpy or torch, gradients kept). Nothing is masked or averaged.

    Raises:
        ConfigError: no estimator of that name, or the shapes differ.

    Source: Schulman 2020, http://joschu.net/blog/kl-approx.html.
    """
    if estimator not in ESTIMATORS:
        raise ConfigError(f"No KL estimator is called {estimator!r}.{suggest(str(estimator), ESTIMATORS)}")
    if not hasattr(logps, "shape"):
        arrays: tuple[Any, Any] = np.asarray(logps, dtype=np.float64), np.asarray(ref_logps, dtype=np.float64)
        return kl(*arrays, estimator)
    if logps.shape != ref_logps.shape:
        raise ConfigError(
            f"logps {tuple(logps.shape)} and ref_logps {tuple(ref_logps.shape)} must have one shape, one entry a token."
        )
    return ESTIMATORS[estimator](ref_logps - logps)


def _k1(log_ratio: Values) -> Values:
    return -log_ratio


def _k2(log_ratio: Values) -> Values:
    return 0.5 * log_ratio * log_ratio


def _k3(log_ratio: Values) -> Values:
    # exp(r) - 1 cancels to nothing for the small r of the first updates; expm1 keeps those digits.
    grown = np.expm1(log_ratio) if isinstance(log_ratio, np.ndarray | np.generic) else log_ratio.expm1()
    return grown - log_ratio


ESTIMATORS: Mapping[str, Callable[[Values], Values]] = MappingProxyType({"k1": _k1, "k2": _k2, "k3": _k3})
"""Name -> function of the log ratio `ref_logps - logps`."""
