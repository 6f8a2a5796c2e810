"""One training run from a recipe, from first check to saved model; the same function on one process and on many.

In order: everything that can be known without TRL, everything that can be known without a model, then rank 0 claims
the run directory for all, then the model is loaded and trained. Each stage is slower than the one before, so a mistake
is told by the earliest one that can see it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.recipe import Recipe
from rlkit.recipe.fitting import has_critic
from rlkit.recipe.plan import Plan
from rlkit.runs import Claim, RunDirectory
from rlkit.terminal import is_first_process
from rlkit.trainers.claiming import (
    RunOutcome,
    claim_and_run,
    find_finished,
    say_where_it_starts,
    train_and_save,
)

if TYPE_CHECKING:
    from rlkit.trainers.config import DiverseGRPOConfig
    from rlkit.trainers.grpo import DiverseGRPOTrainer
    from rlkit.trainers.settings import CheckedRun


def train(recipe: Recipe, *, overwrite: bool = False) -> RunOutcome:
    """Train what a recipe describes, or go on with it where its output directory says it stopped.

    Args:
        recipe: what to train.
        overwrite: delete the run that the output directory holds and start anew.

    Returns:
        `already finished` when the directory holds the same recipe's finished run, which is left as it is.

    Raises:
        RlkitError: the recipe cannot be run, or the directory holds something else.
        KeyboardInterrupt: a second Ctrl-C; the last checkpoint stays.
    """
    from rlkit.trainers.stack import prepare_native_builds, quiet_libraries

    plan = Plan.from_recipe(recipe)
    directory = RunDirectory(recipe.output)
    if (outcome := find_finished(directory, recipe, overwrite)) is not None:
        return outcome
    quiet_libraries()
    prepare_native_builds()
    from rlkit.trainers.settings import build_config, check_run
    from rlkit.trainers.trial import check_machine

    checked = check_run(recipe, plan)
    check_machine(checked.settings)
    if is_first_process():
        directory.inspect(recipe, overwrite)
    config = build_config(recipe, checked.settings)
    method = checked.plan.describe()
    if has_critic(config):
        from rlkit.trainers.critic import read_critic

        method["critic"] = dataclasses.asdict(read_critic(config.critic))
    return claim_and_run(
        recipe, config, overwrite, method, lambda claim: _train_claimed(recipe, checked, config, directory, claim)
    )


def _train_claimed(
    recipe: Recipe, checked: CheckedRun, config: Any, directory: RunDirectory, claim: Claim
) -> RunOutcome:
    from rlkit.trainers.callbacks import SaveByTheClock

    say_where_it_starts(claim, recipe.output, f"{recipe.model} on {checked.plan.task.name}")
    trainer = build_trainer(checked.plan, config, checked.peft)
    callbacks = [] if "save_strategy" in recipe.train else [SaveByTheClock()]
    return train_and_save(trainer, recipe.output, claim, callbacks, part=lambda: _part(trainer, config))


def _part(trainer: DiverseGRPOTrainer, config: DiverseGRPOConfig) -> None:
    """Take the process group down where all ranks are at the same place: left to the end, its threads may abort it."""
    if not _samples_inside(config):
        # An engine inside this process takes the process group down itself, when the interpreter ends.
        trainer.accelerator.end_training()


def build_trainer(plan: Plan, config: DiverseGRPOConfig, peft_config: Any = None) -> DiverseGRPOTrainer:
    """Load model, tokenizer and problems, and put the trainer together; nothing is trained or written yet.

    Raises:
        ConfigError: the model cannot be loaded, a reward needs a column that is not there, or the task has too few
            problems for one generation batch.
    """
    from rlkit.recipe.generation_batch import GenerationBatch
    from rlkit.trainers.algorithms import trainer_class
    from rlkit.trainers.trial import check_adapter

    assert plan.model is not None, "the plan is of a recipe, which names a model"
    dataset, tokenizer = load_data(plan, config)
    batch = (config.per_device_train_batch_size, config.world_size, config.steps_per_generation, config.num_generations)
    GenerationBatch(*batch, fewest_generations=1 if has_critic(config) else 2).check(num_rows=len(dataset))
    if peft_config is not None:
        check_adapter(plan.model, vars(config), peft_config)
    trainer: DiverseGRPOTrainer = trainer_class(config)(
        model=plan.model,
        args=config,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=peft_config,
        plan=plan,
    )
    return trainer


def _samples_inside(config: DiverseGRPOConfig) -> bool:
    return bool(config.use_vllm and config.vllm_mode == "colocate")


def _context(model: str, config: Any) -> int | None:
    """Return the tokens of prompt and completion that model and engine take; None where neither states them."""
    from transformers import AutoConfig

    from rlkit.evaluation.engines.encoding import context_length

    given = config.model_init_kwargs or {}
    stated = AutoConfig.from_pretrained(
        model, revision=given.get("revision"), trust_remote_code=config.trust_remote_code
    )
    lengths = (context_length(stated), config.vllm_max_model_length if config.use_vllm else None)
    return min((length for length in lengths if length is not None), default=None)


def load_data(plan: Plan, config: Any) -> tuple[Any, Any]:
    """Load the rows of a run and its tokenizer, and check that they go with each other and with the rewards.

    Args:
        plan: of a recipe.
        config: a `DiverseGRPOConfig`, or anything with its fields.

    Returns:
        A `datasets.Dataset`, and the tokenizer.

    Raises:
        ConfigError: they cannot be loaded, the tokenizer lacks a chat template, or a reward needs a column that is not
            there.
    """
    from rlkit.rewards import check_columns
    from rlkit.tasks.rows import load_rows
    from rlkit.trainers.archive_files import check_archives
    from rlkit.trainers.dataset import fit_prompts, make_dataset
    from rlkit.trainers.trial import check_template

    assert plan.model is not None, "the plan is of a recipe, which names a model"
    # The tokenizer first: making the problems of a task may take a minute.
    tokenizer = load_tokenizer(plan.model, config)
    rows = load_rows(plan.task, "train", needs_ids=False)
    if rows:
        check_template(tokenizer, rows[0]["prompt"], plan.model, config.chat_template_kwargs)
    room = config.max_completion_length or 0
    rows = fit_prompts(rows, tokenizer, _context(plan.model, config), room, config.chat_template_kwargs)
    check_archives(plan)
    dataset = make_dataset(rows)
    for reward in [*plan.functions, *([plan.held_out] if plan.held_out else [])]:
        check_columns(reward, dataset.column_names)
    return dataset, tokenizer


def load_tokenizer(model: str, config: Any) -> Any:
    """Load a model's tokenizer, set up for generation.

    Args:
        model: what `from_pretrained` takes.
        config: a `DiverseGRPOConfig`, or anything with its `model_init_kwargs` and `trust_remote_code`.

    Raises:
        ConfigError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    revision = (config.model_init_kwargs or {}).get("revision")
    try:
        return AutoTokenizer.from_pretrained(
            model,
            padding_side="left",
            truncation_side="left",
            revision=revision,
            trust_remote_code=config.trust_remote_code,
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(f"The model {model!r} cannot be loaded: {reason}.") from error
