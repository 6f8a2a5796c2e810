"""Per-token estimates of the divergence between a policy and its reference, from log-probs of sampled tokens.

An f-divergence has a generator g with g(1) = 0 and D = E_ref[g(u)], u = pi / ref. A token drawn from the reference is
worth g(u); one drawn from the policy is worth g(u) / u, which is the generator of the *swapped* divergence at 1 / u. So
one table of generators, in terms of the log ratio, serves both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlkit.errors import ConfigError, suggest

if TYPE_CHECKING:
    import torch

Values = TypeVar("Values", NDArray[np.float64], "torch.Tensor")

_LOG_2 = math.log(2)


def kl(
    logps: Values, ref_logps: Values, estimator: str = "k3", alpha: float = 0.2, clamp: float | None = None
) -> Values:
    """Return one estimate a token of a divergence from the reference, in nats, for tokens sampled from the policy.

    Args:
        logps: log-probs of the sampled tokens under the policy that sampled them, any shape.
        ref_logps: log-probs of the same tokens under the reference, same shape.
        estimator: with r = ref_logps - logps, of KL(policy || reference)
            `k1` = -r: unbiased, high variance, can be negative;
            `k2` = r**2 / 2: biased, low variance, its gradient is that of the true divergence;
            `k3` = exp(r) - 1 - r: unbiased, never negative; one far-off token can dominate it.
            Of other divergences, all unbiased and never negative
            `forward` = r * exp(r) - exp(r) + 1: KL(reference || policy);
            `js`: **twice** the Jensen-Shannon divergence, as DPH-RL scales it; at most 2 ln 2 in expectation;
            `alpha`: (u**(1-a) - (1-a) u - a) / (a (a-1)); a -> 1 is forward, a -> 0 is KL(policy || reference).
        alpha: a, in (0, 1); of no effect on the others.
        clamp: log ratios beyond +-clamp count as +-clamp and, in torch, pass no gradient; None clamps nothing. Values
            and gradients are finite without it while exp(|r|) is, i.e. up to |r| = 80 in float32.

    Returns:
        Same shape and kind (numpy or torch, gradients kept). Nothing is masked or averaged. The gradient is that of
        the value, whose expectation is in general *not* the gradient of the divergence; see `policy_slope`.

    Raises:
        ConfigError: no estimator of that name, the shapes differ, or alpha or clamp is out of range.

    Source: Schulman 2020, http://joschu.net/blog/kl-approx.html; generators: DPH-RL, arXiv 2509.07430.
    """
    _check_name(estimator, ESTIMATORS, "KL estimator")
    return ESTIMATORS[estimator](-_log_ratio(logps, ref_logps, alpha, clamp), alpha)


def rehearsal_divergence(
    logps: Values, ref_logps: Values, divergence: str = "forward", alpha: float = 0.2, clamp: float | None = None
) -> Values:
    """Return one estimate a token of a divergence from the reference, in nats, for tokens sampled from the *reference*.

    The value is g(u), u = policy / reference, and its gradient in torch has exactly the gradient of the divergence for
    its expectation, because the sampling does not depend on the policy. At u = 1 both are exactly zero.

    Args:
        logps: log-probs of the tokens under the policy, any shape.
        ref_logps: log-probs of the same tokens under the reference that sampled them, same shape.
        divergence: `forward` = u - ln u - 1, KL(reference || policy); `js` = u ln u - (u+1) ln((u+1)/2), **twice**
            the Jensen-Shannon divergence; `alpha` = (u**(1-a) - (1-a) u - a) / (a (a-1)); `reverse` = u ln u - u + 1,
            KL(policy || reference).
        alpha: a, in (0, 1).
        clamp: as in `kl`.

    Returns:
        Same shape and kind; range [0, inf).

    Raises:
        ConfigError: no divergence of that name, the shapes differ, or alpha or clamp is out of range.

    Source: DPH-RL, arXiv 2509.07430.
    """
    _check_name(divergence, GENERATORS, "divergence")
    return GENERATORS[divergence](_log_ratio(logps, ref_logps, alpha, clamp), alpha)


def policy_slope(
    logps: Values, ref_logps: Values, divergence: str = "reverse", alpha: float = 0.2, clamp: float | None = None
) -> Values:
    """Return g'(u): what to weigh the gradient of `logps` by, for tokens sampled from the policy.

    E_policy[g'(u) * grad ln policy] is exactly the gradient of the divergence. Reverse: ln u; forward: 1 - 1/u; js (of
    twice the divergence): ln(2u / (1+u)); alpha: (1 - u**-a) / a.

    Args:
        logps, ref_logps, divergence, alpha, clamp: as in `rehearsal_divergence`; the tokens are the policy's.

    Returns:
        Same shape and kind; any sign, positive where the policy is likelier to say the token than the reference.

    Raises:
        ConfigError: as `rehearsal_divergence`.
    """
    _check_name(divergence, GENERATORS, "divergence")
    grown = _log_ratio(logps, ref_logps, alpha, clamp)
    if divergence == "reverse":
        return grown
    if divergence == "js":
        return -_log_half_one_plus_exp(-grown)
    order = alpha if divergence == "alpha" else 1.0
    return -_maths(grown).expm1(-order * grown) / order


def _check_name(name: str, allowed: Mapping[str, Any], word: str) -> None:
    if not isinstance(name, str) or name not in allowed:
        raise ConfigError(f"No {word} is called {name!r}.{suggest(str(name), allowed)}")


def _log_ratio(logps: Values, ref_logps: Values, alpha: float, clamp: float | None) -> Values:
    """Return ln u = logps - ref_logps, clamped; plain numbers become arrays."""
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < 1:
        raise ConfigError(f"alpha={alpha!r} was given to a divergence; write a number between 0 and 1, such as 0.2.")
    if clamp is not None and (isinstance(clamp, bool) or not isinstance(clamp, int | float) or not clamp > 0):
        raise ConfigError(f"clamp={clamp!r} was given to a divergence; write a positive log ratio such as 20, or None.")
    if not hasattr(logps, "shape"):
        arrays: tuple[Any, Any] = np.asarray(logps, dtype=np.float64), np.asarray(ref_logps, dtype=np.float64)
        return _log_ratio(*arrays, alpha, clamp)
    if logps.shape != ref_logps.shape:
        raise ConfigError(
            f"logps {tuple(logps.shape)} and ref_logps {tuple(ref_logps.shape)} must have one shape, one entry a token."
        )
    ratio = logps - ref_logps
    return ratio if clamp is None else ratio.clip(-clamp, clamp)


def _maths(values: Any) -> Any:
    if isinstance(values, np.ndarray | np.generic):
        return np
    import torch

    return torch


def _log_half_one_plus_exp(values: Values) -> Values:
    """Return ln((1 + exp(x)) / 2): to the last digit near 0, and without overflow far from it."""
    maths = _maths(values)
    # The clip keeps the unused branch finite: an infinity there would turn the gradient of `where` into NaN.
    near = maths.log1p(maths.expm1(values.clip(-1, 1)) / 2)
    return maths.where(abs(values) < 1, near, maths.logaddexp(values, maths.zeros_like(values)) - _LOG_2)


def _forward(ratio: Values, alpha: float) -> Values:
    # exp(x) - 1 cancels to nothing for the small x of the first updates; expm1 keeps those digits.
    return _maths(ratio).expm1(ratio) - ratio


def _reverse(ratio: Values, alpha: float) -> Values:
    return ratio * _maths(ratio).exp(ratio) - _maths(ratio).expm1(ratio)


def _twice_js(ratio: Values, alpha: float) -> Values:
    return -_maths(ratio).exp(ratio) * _log_half_one_plus_exp(-ratio) - _log_half_one_plus_exp(ratio)


def _alpha(ratio: Values, alpha: float) -> Values:
    expm1 = _maths(ratio).expm1
    return ((1 - alpha) * expm1(ratio) - expm1((1 - alpha) * ratio)) / (alpha * (1 - alpha))


Generator = Callable[[Any, float], Any]

GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {"reverse": _reverse, "forward": _forward, "js": _twice_js, "alpha": _alpha}
)
"""Name -> g as a function of ln(policy / reference) and alpha."""

ESTIMATORS: Mapping[str, Generator] = MappingProxyType(
    {
        "k1": lambda ratio, alpha: -ratio,
        "k2": lambda ratio, alpha: 0.5 * ratio * ratio,
        "k3": _forward,
        "forward": _reverse,
        "js": _twice_js,
        "alpha": lambda ratio, alpha: _alpha(ratio, 1 - alpha),
    }
)
"""Name -> estimate as a function of ln(reference / policy) and alpha; from `k3` on, generators of the swapped pair."""
