"""What of a PPO run can be judged before a model is loaded."""

from __future__ import annotations

from typing import Any

from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_flag, check_number
from rlkit.returns import LengthAdaptiveLambda, read_lambda
from rlkit.trainers.critic import check_source, read_critic

SHAPINGS = ("reward", "advantage")
"""Where the part of the reward goes that a chain adds to it."""
_FLAGS = ("kl_in_gae", "bootstrap_truncated", "whiten_advantages")


def check_scalars(args: Any) -> None:
    """Check what a `DiversePPOConfig`, or anything with its fields, says of credit and critic.

    Raises:
        ConfigError: a number is out of range, or the critic is none of those that exist.
    """
    check_number("train", "gamma", args.gamma, at_least=0, at_most=1)
    for key in ("lambda_policy", "lambda_value"):
        lam, longest = read_lambda(getattr(args, key), f"train.{key}"), args.max_completion_length
        if isinstance(lam, LengthAdaptiveLambda) and longest is not None and lam.is_too_short(longest):
            raise ConfigError(
                f"train.{key} is length_adaptive with alpha {lam.alpha:g}, which is 0 up to {1 / lam.alpha:g} tokens, "
                f"and no completion is longer than {longest}; write a number (0.95) or {{relative_position: 0.5}}."
            )
    check_choice("train", "shaping", args.shaping, SHAPINGS)
    check_number("train", "positive_nll_coef", args.positive_nll_coef, at_least=0)
    for key in _FLAGS:
        check_flag("train", key, getattr(args, key))
    read_critic(args.critic)


def check_ppo(args: Any, policy: str | None, has_adapter: bool) -> None:
    """Check a recipe's PPO run: its numbers, and whether the critic can be had and goes with the policy.

    Args:
        args: anything with the fields of a `DiversePPOConfig`.
        policy: what `from_pretrained` takes; None where it is not known.
        has_adapter: whether the run trains a LoRA adapter.

    Raises:
        ConfigError: as `check_scalars`; the critic's backbone does not exist or has another tokenizer, or the critic is
            an adapter and the policy none.
    """
    check_scalars(args)
    check_source(read_critic(args.critic), policy, has_adapter)
