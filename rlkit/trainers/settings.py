"""From a recipe's `train` and `peft` sections to the objects TRL and PEFT take, judged before any model is loaded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from rlkit.errors import ConfigError, RlkitError
from rlkit.parameters import check_count, check_number
from rlkit.recipe.correctness import find_verifier
from rlkit.recipe.fields import check_fields
from rlkit.recipe.fitting import has_critic
from rlkit.recipe.generation_batch import GenerationBatch
from rlkit.recipe.plan import Plan
from rlkit.recipe.schema import Recipe
from rlkit.trainers.algorithms import config_class, with_defaults
from rlkit.trainers.ranges import check_combinations, check_ranges

if TYPE_CHECKING:
    from peft import LoraConfig

    from rlkit.trainers.config import DiverseGRPOConfig

OUR_DEFAULTS = {
    "save_strategy": "no",
    "save_total_limit": 2,
    "report_to": "none",
    "logging_steps": 1,
    "log_level": "error",
    "log_level_replica": "error",
    # What transformers does when gradient checkpointing is on, which is TRL's default; searching costs a pass a step.
    "ddp_find_unused_parameters": False,
}
"""Where a recipe is silent. A checkpoint every half hour and when interrupted (`callbacks.py`), of which the newest two
are kept; no tracker, every step in the log."""

_TRULY_TAKES = {
    "loss_type": Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"],
    "scale_rewards": bool | Literal["group", "batch", "none"],
    "multi_objective_aggregation": Literal["sum_then_normalize", "normalize_then_sum"],
    "importance_sampling_level": Literal["token", "sequence"],
    "vllm_mode": Literal["colocate", "server"],
}
"""What TRL 1.16 accepts where its annotation says only `str` and it complains late or not at all."""


@dataclasses.dataclass(frozen=True)
class CheckedRun:
    """A recipe's run before any model is loaded."""

    plan: Plan
    """Its parts, which fit the settings."""
    settings: dict[str, Any]
    """Arguments for the trainer's configuration."""
    config: type
    """That configuration: `DiverseGRPOConfig`, or `DiversePPOConfig`."""
    peft: LoraConfig | None
    """None trains all weights."""


def check_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the arguments for the trainer's configuration that the `train` section comes to on this machine.

    Raises:
        ConfigError: an unknown setting, a value of the wrong kind, or groups that do not fill a generation batch.
    """
    owner = config_class(recipe)
    train = check_train(recipe.train, owner, _TRULY_TAKES)
    describe_batch(train, owner).check()
    return complete_settings(train, recipe.output)


def check_train(given: Mapping[str, Any], owner: type, instead: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a recipe's `train` section with every setting checked by itself.

    Args:
        given: the section.
        owner: the trainer's configuration, which says what there is to set.
        instead: what a field takes where its annotation says otherwise.

    Raises:
        ConfigError: an unknown setting, a value of the wrong kind or out of range, or an evaluation inside training.
    """
    train = check_fields(given, owner, "train", instead)
    check_ranges(train)
    if train.get("eval_strategy", "no") != "no":
        raise ConfigError("train.eval_strategy has nothing to evaluate on in a run; leave it out and use rlkit eval.")
    return train


def complete_settings(train: Mapping[str, Any], output: str) -> dict[str, Any]:
    """Return checked settings with what runs and this machine need where a recipe is silent."""
    settings = {**OUR_DEFAULTS, **_machine_defaults(train), **train}
    return {**settings, "disable_tqdm": True, "output_dir": output}


def check_run(recipe: Recipe, plan: Plan) -> CheckedRun:
    """Return a recipe's run with everything judged that can be known before a model is loaded.

    Args:
        recipe: what to train.
        plan: what `Plan.from_recipe` made of it.

    Raises:
        ConfigError: a setting is refused, or plan and settings contradict each other.
    """
    settings, peft, owner = check_settings(recipe), build_peft(recipe.peft), config_class(recipe)
    values = with_defaults(owner, {**settings, **_named(recipe)})
    check_combinations(values)
    fitted = plan.fit(values)
    names = [reward.name for reward in fitted.functions]
    if fitted.correct_reward is None:
        find_verifier(fitted, names)
    else:
        _check_verifier(fitted.correct_reward, names)
    fitted.check_adapter(peft is not None)
    if has_critic(values):
        from rlkit.trainers.ppo.checking import check_ppo

        check_ppo(values, fitted.model, peft is not None)
    return CheckedRun(fitted, settings, owner, peft)


def _check_verifier(named: Any, rewards: list[str]) -> None:
    is_there = 0 <= named < len(rewards) if isinstance(named, int) else named in rewards
    if not is_there:
        raise ConfigError(f"train.correct_reward is {named!r}, but the rewards are {rewards}; write one of these.")


def _named(recipe: Recipe) -> dict[str, Any]:
    """Return what the recipe says at its top level and the trainer's configuration has a field for."""
    keys = (
        *("advantage", "objective", "archive", "sampler", "partition", "answers", "embedding"),
        *("reward_weights", "monitor"),
    )
    # Left out, a trainer's own default holds; only one of the two has a critic.
    critic = {} if recipe.critic is None else {"critic": recipe.critic}
    tolerated = {} if recipe.max_error_rate is None else {"max_error_rate": recipe.max_error_rate}
    return {**{key: getattr(recipe, key) for key in keys}, **tolerated, **critic}


def describe_batch(train: Mapping[str, Any], owner: type) -> GenerationBatch:
    """Return the generation batch that checked settings come to; the world size is what the launcher says.

    Raises:
        ConfigError: `generation_batch_size` is not a multiple of what one pass of all processes takes.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(owner)}
    values = {**defaults, **train}
    per_device, world_size = values["per_device_train_batch_size"], int(os.environ.get("WORLD_SIZE", "1"))
    steps = values["steps_per_generation"] or values["gradient_accumulation_steps"]
    total = values["generation_batch_size"]
    if total is not None:
        if values["steps_per_generation"] is not None:
            raise ConfigError("train sets both generation_batch_size and steps_per_generation; leave one of them out.")
        if per_device < 1 or total % (per_device * world_size):
            raise ConfigError(
                f"train.generation_batch_size is {total}, which is not a multiple of per_device_train_batch_size "
                f"{per_device} x {world_size} processes."
            )
        steps = total // (per_device * world_size)
    fewest = 1 if values.get("critic") is not None else 2
    return GenerationBatch(per_device, world_size, steps, values["num_generations"], fewest)


def build_config(recipe: Recipe, settings: Mapping[str, Any]) -> DiverseGRPOConfig:
    """Build the trainer's configuration; under a launcher this is where the processes meet.

    Raises:
        ConfigError: TRL or transformers refuses a combination of settings.
    """
    config: DiverseGRPOConfig = build_arguments(config_class(recipe), {**settings, **_named(recipe)})
    return config


def build_arguments(owner: type, settings: Mapping[str, Any]) -> Any:
    """Return a trainer's configuration of checked settings; under a launcher this is where the processes meet.

    Raises:
        ConfigError: TRL or transformers refuses a combination of settings.
    """
    try:
        return owner(**settings)
    except RlkitError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        raise ConfigError(f"These train settings are refused: {' '.join(str(error).split())}") from error


def build_peft(section: Mapping[str, Any] | None) -> LoraConfig | None:
    """Build the LoRA configuration of a recipe's `peft` section; None when there is none.

    Raises:
        ConfigError: an unknown setting, a value of the wrong kind, or one that PEFT refuses.
    """
    if section is None:
        return None
    from peft import LoraConfig

    values = {"task_type": "CAUSAL_LM", **check_fields(section, LoraConfig, "peft")}
    check_count("peft", "r", values.get("r", 8))
    check_number("peft", "lora_alpha", values.get("lora_alpha", 8), above=0)
    check_number("peft", "lora_dropout", values.get("lora_dropout", 0.0), at_least=0, below=1)
    try:
        return LoraConfig(**values)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"These peft settings are refused: {' '.join(str(error).split())}") from error


def _machine_defaults(train: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    if torch.cuda.is_available() and not train.get("use_cpu", False):
        return {}
    # transformers would take Apple's GPU by itself, which vLLM and DeepSpeed do not know.
    return {"use_cpu": True, "bf16": False, "dataloader_pin_memory": False}
