"""What a plan takes from the trainer's settings: TRL's own words for what a chain, an objective or a role says here."""

from __future__ import annotations

from typing import Any

from rlkit.advantages import Chain
from rlkit.advantages import resolve as resolve_advantage
from rlkit.errors import ConfigError
from rlkit.objective import Anchor, Objective
from rlkit.terminal import note

LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo")
"""Values of `loss_type` whose loss is ours, so that an objective can be combined with it."""

_TRLS_CHAINS: dict[Any, Any] = {
    **dict.fromkeys(("group", True), "grpo"),
    **dict.fromkeys(("none", False), "dr_grpo"),
    "batch": ["subtract_group_mean", {"name": "divide_by_batch_std", "take": "rewards"}],
}
"""The chain that is TRL's own advantage, by `scale_rewards`."""

_FITTED = {
    "num_generations": None,
    "loss_type": None,
    "beta": 0.0,
    "use_bias_correction_kl": False,
    "fast_path": False,
    "top_entropy_quantile": 1.0,
    "multi_objective_aggregation": "sum_then_normalize",
    "scale_rewards": "group",
    "correct_reward": None,
    "correct_above": 0.5,
    "max_error_rate": 0.05,
    "critic": None,
}
"""Settings that a plan depends on, and what they are where a configuration has no such field."""


def settings_of_a_fit(settings: Any) -> dict[str, Any]:
    """Return the settings that a plan depends on, in one spelling."""
    values = {key: getattr(settings, key, otherwise) for key, otherwise in _FITTED.items()}
    # A configuration writes these two in one way.
    scale, verifier = values["scale_rewards"], values["correct_reward"]
    values["scale_rewards"] = {"True": "group", "False": "none"}.get(str(scale), scale)
    values["correct_reward"] = int(verifier) if isinstance(verifier, str) and verifier.isdecimal() else verifier
    return values


_REPLACED = {"scale_rewards": ("group", True), "multi_objective_aggregation": ("sum_then_normalize",)}
"""Settings of TRL's own advantages, and what they are where nobody says."""


def has_critic(settings: Any) -> bool:
    """Return whether a critic is the baseline: only a configuration of PPO has that field."""
    return getattr(settings, "critic", None) is not None


def say_what_a_chain_replaces(settings: Any) -> None:
    """Say which settings of TRL's advantages do nothing beside a chain."""
    for key, usual in _REPLACED.items():
        if getattr(settings, key, usual[0]) not in usual:
            note(
                f"train.{key} is {getattr(settings, key)}, which does nothing here: the advantage chain takes the "
                "place of TRL's advantages. Leave it out, or leave advantage out."
            )


def chain_for_roles(chain: Chain | None, settings: Any) -> Chain:
    """Return the chain of a run whose rewards do not simply add up, which is how TRL would take them."""
    if settings.multi_objective_aggregation != "sum_then_normalize":
        raise ConfigError(
            f"train.multi_objective_aggregation is {settings.multi_objective_aggregation}, which takes each reward by "
            "itself, but a modifier or penalty changes their sum; leave it out, or give these rewards the role base."
        )
    return resolve_advantage(_TRLS_CHAINS[settings.scale_rewards]) if chain is None else chain


def with_beta(objective: Objective, settings: Any) -> Objective:
    """Turn TRL's `beta` into the anchor it is, where the loss is ours."""
    is_fast = getattr(settings, "fast_path", False) and settings.loss_type in LOSS_TYPES
    is_ours = not objective.is_empty or has_critic(settings) or is_fast
    if not is_ours or not settings.beta:
        return objective
    if objective.anchor is not None:
        raise ConfigError("Both train.beta and the objective's anchor tie the policy to a reference; keep one of them.")
    anchor = Anchor(estimator="k3", coef=settings.beta, importance_corrected=settings.use_bias_correction_kl)
    return objective.merge(Objective(anchor=anchor))
