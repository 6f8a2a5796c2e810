"""Ranges of training settings that the libraries would only notice later, some by a traceback and some not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlkit.errors import ConfigError
from rlkit.parameters import check_count, check_number
from rlkit.terminal import note

_COUNTS = (
    "gradient_accumulation_steps",
    "max_completion_length",
    "num_iterations",
    "per_device_train_batch_size",
    "steps_per_generation",
    "max_tokens_per_microbatch",
)
_AT_LEAST_ZERO = (
    *("learning_rate", "weight_decay", "max_grad_norm", "beta", "epsilon", "epsilon_high", "adam_epsilon"),
    *("entropy_coef_min", "entropy_coef_max", "entropy_coef_delta", "entropy_target", "warmup_steps"),
)
_POSITIVE = ("temperature", "repetition_penalty", "sapo_temperature_pos", "sapo_temperature_neg", "num_train_epochs")
_SHARES = ("top_p", "top_entropy_quantile", "vllm_gpu_memory_utilization")
_DEFAULT_ENTROPY_TARGET = 0.2


def check_ranges(train: Mapping[str, Any]) -> None:
    """Check what the recipe's `train` section says, one setting at a time; None leaves a setting to the library.

    Raises:
        ConfigError: the first value that is out of range.
    """
    given = {key: value for key, value in train.items() if value is not None}
    for key in given.keys() & set(_COUNTS):
        check_count("train", key, given[key])
    for key in given.keys() & set(_AT_LEAST_ZERO):
        check_number("train", key, given[key], at_least=0)
    for key in given.keys() & set(_POSITIVE):
        check_number("train", key, given[key], above=0)
    for key in given.keys() & set(_SHARES):
        check_number("train", key, given[key], above=0, at_most=1)
    for key in given.keys() & {"correct_above", "entropy_coef"}:
        check_number("train", key, given[key])
    if given.get("max_steps", 1) < 1 and given.get("max_steps") != -1:
        raise ConfigError(f"train.max_steps is {given['max_steps']}; write 1 or more, or -1 for num_train_epochs.")


def check_combinations(args: Any) -> None:
    """Check settings that contradict each other, of a whole `DiverseGRPOConfig` or anything with its fields.

    Raises:
        ConfigError: they do.
    """
    narrowed = [key for key in ("top_p", "top_k", "min_p") if _narrows(key, getattr(args, key, None))]
    if narrowed and args.use_vllm and args.vllm_importance_sampling_correction:
        raise ConfigError(
            f"train.{narrowed[0]} is {getattr(args, narrowed[0])}, which cuts the distribution that vLLM samples from; "
            "the importance correction would compare two different things. Leave it out, or write "
            "vllm_importance_sampling_correction: false."
        )
    bound = 1 + (args.epsilon if args.epsilon_high is None else args.epsilon_high)
    if args.delta is not None and args.delta <= bound and args.loss_type not in ("cispo", "sapo"):
        raise ConfigError(f"train.delta is {args.delta}, inside the clip range; write more than {bound:g}.")


def warn_of_combinations(args: Any) -> None:
    """Say what is allowed but does nothing."""
    if args.use_adaptive_entropy and args.entropy_target == _DEFAULT_ENTROPY_TARGET:
        note(
            "train.entropy_target is 0.2 nats, TRL's default, at which the adaptive bonus hardly ever acts; set it "
            "near the entropy of the first steps."
        )


def _narrows(key: str, value: Any) -> bool:
    if value is None:
        return False
    return bool(value < 1) if key == "top_p" else bool(value > 0)
