"""Anchors: a divergence from a reference policy, paid in the loss or in the reward."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch

from rlkit.errors import ConfigError, PluginError
from rlkit.estimators.divergence import ESTIMATORS, kl, policy_slope
from rlkit.objective.coefficients import Coefficient, resolve_coefficient
from rlkit.objective.references import Reference, resolve_reference
from rlkit.objective.user_anchors import watch_method
from rlkit.parameters import check_choice, check_flag, check_number
from rlkit.plugins import PluginKind, preset
from rlkit.plugins import resolve as resolve_plugin


@dataclass(frozen=True)
class Anchor:
    """Hold the policy to a reference, on tokens that the policy sampled.

    The estimator's *value* is what is logged; its *gradient* decides which divergence falls. For tokens sampled from
    the policy, u = policy / reference, grad log policy is weighed by

    | estimator | value estimates | weight | the anchor descends |
    |---|---|---|---|
    | k1 | KL(policy, reference) | ln u (as a loss 1, whose expectation is zero) | KL(policy, reference) |
    | k2 | KL(policy, reference), biased | ln u | KL(policy, reference) |
    | k3 | KL(policy, reference) | 1 - 1/u | KL(reference, policy): what GRPO's usual term does |
    | forward | KL(reference, policy) | 1 - 1/u | KL(reference, policy) |
    | js | 2 JS | ln(2u / (1+u)) | 2 JS |
    | alpha | alpha-divergence | (1 - u**-a) / a | the alpha-divergence |

    k1, k2, k3 are differentiated as they stand, as everywhere; `forward`, `js` and `alpha` carry the weight of their
    divergence, because differentiating their values would descend something else. 1 - 1/u is unbounded where the policy
    left the reference's favourites behind; `js` and k2 grow only with the logarithm. In the reward every token costs
    its weight, so that the divergence that falls is the same as in the loss; the usual choice of k3's *value* there
    hardly pulls at all, having no slope where policy and reference agree.

    Raises:
        ConfigError: a value is out of range, or k1 is put in the loss.
        PluginError: `coef` or `reference` names nothing.

    Source: Schulman 2020, http://joschu.net/blog/kl-approx.html; DPH-RL, arXiv 2509.07430; GRPO, arXiv 2402.03300 (k3).
    """

    estimator: str = "k3"
    """`k1`, `k2`, `k3`, `forward`, `js` or `alpha`; see `rlkit.estimators.divergence.kl`."""
    alpha: float = 0.2
    """Order of `alpha`, between 0 and 1: near 1 it is forward, near 0 reverse; DPH-RL's is 0.2."""
    coef: Any = 0.001
    """A number, or a coefficient that changes, e.g. {name: linear, start: 0.01, end: 0, steps: 100}."""
    reference: Any = "initial"
    """`initial`, `ema`, `reset` or `adapter_off`, with their parameters."""
    where: str = "loss"
    """`loss`: added to every token's loss. `reward`: the sum of the weights above is taken off the reward, detached,
    before the advantage chain; k1 and k2 are the same there."""
    only: str = "all"
    """`all` prompts, or `mastered` ones alone, so that hard prompts stay free."""
    mastered_above: float = 0.875
    """Share of correct completions, 0 to 1, *from* which on a prompt is mastered; DPH-RL takes 6/8 or 7/8."""
    log_ratio_clamp: float | None = None
    """Log ratios beyond count as this large and pass no gradient; verl has 20. None clamps nothing, as TRL."""
    importance_corrected: bool = False
    """Whether the loss is multiplied by policy / old policy, for tokens that an older policy sampled. The ratio is
    detached, so that the table above holds off-policy too; except for k3, where as in TRL's `use_bias_correction_kl`
    the gradient passes through it, and what falls is then KL(policy, reference)."""

    def __init_subclass__(cls) -> None:
        """Watch what a user's anchor overrides: its numbers go straight into the loss."""
        super().__init_subclass__()
        for name in ("losses", "values", "penalties"):
            method = cls.__dict__.get(name)
            if callable(method) and not hasattr(method, "is_watched"):
                setattr(cls, name, watch_method(method))

    def __post_init__(self) -> None:
        check_choice("anchor", "estimator", self.estimator, tuple(ESTIMATORS))
        check_choice("anchor", "where", self.where, ("loss", "reward"))
        check_choice("anchor", "only", self.only, ("all", "mastered"))
        check_number("anchor", "alpha", self.alpha, above=0, below=1)
        check_number("anchor", "mastered_above", self.mastered_above, at_least=0, at_most=1)
        if self.log_ratio_clamp is not None:
            check_number("anchor", "log_ratio_clamp", self.log_ratio_clamp, above=0)
        check_flag("anchor", "importance_corrected", self.importance_corrected)
        if self.estimator == "k1" and self.where == "loss":
            raise ConfigError(
                "An anchor was given estimator k1 in the loss, where its expected gradient is zero; write estimator: "
                "k2 for the same divergence, or where: reward."
            )
        # Wrong names surface here, before any model is loaded.
        _ = self.coefficient, self.reference_policy

    @cached_property
    def coefficient(self) -> Coefficient:
        """What `coef` describes."""
        return resolve_coefficient(self.coef)

    @cached_property
    def reference_policy(self) -> Reference:
        """What `reference` describes."""
        return resolve_reference(self.reference)

    def is_mastered(self, share_correct: float) -> bool:
        """Return whether a prompt with that share of correct completions counts as mastered; False for NaN."""
        return share_correct >= self.mastered_above

    def losses(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        """Return the loss of every token without the coefficient; nothing is masked.

        Args:
            logps_BT: log-probs under the policy, with gradient.
            ref_logps_BT: log-probs under the reference; no gradient flows to them.

        Returns:
            Shape (B, T), nats; values as `values`, gradients as in the table of the class.
        """
        ref_logps_BT = ref_logps_BT.detach()
        if self.estimator in ("k1", "k2", "k3"):
            return kl(logps_BT, ref_logps_BT, self.estimator, self.alpha, self.log_ratio_clamp)
        slopes_BT = policy_slope(logps_BT.detach(), ref_logps_BT, self.estimator, self.alpha, self.log_ratio_clamp)
        if self.log_ratio_clamp is not None:
            is_inside_BT = (logps_BT - ref_logps_BT).detach().abs() <= self.log_ratio_clamp
            slopes_BT = slopes_BT * is_inside_BT
        return self.values(logps_BT, ref_logps_BT) + slopes_BT * (logps_BT - logps_BT.detach())

    def values(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        """Return the estimate of every token without the coefficient, detached; shape (B, T), nats, unmasked."""
        return kl(logps_BT.detach(), ref_logps_BT.detach(), self.estimator, self.alpha, self.log_ratio_clamp)

    def penalties(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        """Return what every token costs in the reward, without the coefficient, detached; shape (B, T), unmasked.

        The weights of the class's table: a policy gradient with these costs descends the divergence named.
        """
        divergence = {"k1": "reverse", "k2": "reverse", "k3": "forward"}.get(self.estimator, self.estimator)
        given = (logps_BT.detach(), ref_logps_BT.detach())
        return policy_slope(*given, divergence, self.alpha, self.log_ratio_clamp)


ANCHORS = PluginKind(
    "anchor",
    "rlkit.anchors",
    {
        "kl": Anchor,
        **{
            name: preset(
                f"Anchor with the estimator {name}.", [partial(Anchor, estimator=name)], lambda built: next(iter(built))
            )
            for name in ("k2", "k3", "forward", "js", "alpha")
        },
    },
)


def resolve_anchor(spec: Any) -> Anchor:
    """Build the anchor that a recipe's `anchor:` names.

    Raises:
        ConfigError: its values are not allowed.
        PluginError: no such anchor, its parameters do not fit, or it is none.
    """
    anchor = resolve_plugin(spec, ANCHORS)
    if not isinstance(anchor, Anchor):
        raise PluginError(f"The anchor {spec!r} is {anchor!r}; an anchor is a rlkit.objective.anchors.Anchor.")
    return anchor
