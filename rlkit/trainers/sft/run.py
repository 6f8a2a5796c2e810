"""One run of supervised fine-tuning from a recipe, from first check to evaluated model, on one process or many."""

from __future__ import annotations

from typing import Any

from rlkit.errors import ConfigError
from rlkit.recipe.sft import SftRecipe
from rlkit.runs import Claim, RunDirectory
from rlkit.terminal import is_first_process, note
from rlkit.trainers.claiming import RunOutcome, claim_and_run, find_finished, say_where_it_starts, train_and_save
from rlkit.trainers.sft.preparing import CheckedSft, SftRows, check_sft, load_rows
from rlkit.trainers.sft.sources import ArchiveRows, resolve_data

_SHOWN = {"loss": "loss", "nll": "nll", "held_out/nll": "held out", "entropy": "entropy"}


def train_sft(recipe: SftRecipe, *, overwrite: bool = False) -> RunOutcome:
    """Fine-tune as a recipe describes, or go on where its output directory says it stopped; then evaluate.

    Args:
        recipe: what to learn.
        overwrite: delete the run that the output directory holds and start anew.

    Returns:
        `already finished` when the directory holds the same recipe's finished run, which is left as it is.

    Raises:
        RlkitError: the recipe cannot be run, or the directory holds something else.
        KeyboardInterrupt: a second Ctrl-C, or one during the evaluation.
    """
    outcome = _train(recipe, overwrite)
    if outcome.status != "interrupted":
        from rlkit.trainers.sft.evaluating import evaluate_at_the_end

        evaluate_at_the_end(recipe)
    return outcome


def try_sft(recipe: SftRecipe) -> str | None:
    """Check all of a recipe that can be known without its model's weights; rows are read and encoded.

    Returns:
        What could not be tried, as a sentence: an archive that is still to be filled, or a model on a hub that cannot
        be reached from here.

    Raises:
        RlkitError: naming what would stop the run.
    """
    from pathlib import Path

    from rlkit.trainers.stack import quiet_libraries

    quiet_libraries()
    from rlkit.trainers.trial import check_adapter, check_machine

    checked = check_sft(recipe)
    check_machine(checked.settings)
    data = resolve_data(recipe.data)
    if isinstance(data, ArchiveRows) and not Path(data.path).expanduser().exists():
        return f"There is no archive {data.path} yet, so its rows were not tried; rlkit archive collect writes one."
    try:
        load_rows(recipe, checked)
    except ConfigError as error:
        if "couldn't connect" in str(error) and not Path(checked.model).exists():
            return f"{error} What it has to do with was not tried."
        raise
    if checked.peft is not None:
        check_adapter(checked.model, checked.settings, checked.peft)
    return None


def _train(recipe: SftRecipe, overwrite: bool) -> RunOutcome:
    from rlkit.trainers.stack import prepare_native_builds, quiet_libraries

    directory = RunDirectory(recipe.output)
    if (outcome := find_finished(directory, recipe, overwrite)) is not None:
        return outcome
    quiet_libraries()
    prepare_native_builds()
    from rlkit.trainers.settings import build_arguments
    from rlkit.trainers.sft.config import DiverseSFTConfig
    from rlkit.trainers.trial import check_machine

    checked = check_sft(recipe)
    check_machine(checked.settings)
    if is_first_process():
        directory.inspect(recipe, overwrite)
    config = build_arguments(DiverseSFTConfig, checked.settings)
    method = describe(recipe, config)
    return claim_and_run(
        recipe, config, overwrite, method, lambda claim: _train_claimed(recipe, checked, config, claim)
    )


def describe(recipe: SftRecipe, config: Any) -> dict[str, Any]:
    """Return what run.json says of how a run learns."""
    return {"kind": "sft", "data": recipe.data, "row_weighting": config.row_weighting, "negatives": recipe.negatives}


def _train_claimed(recipe: SftRecipe, checked: CheckedSft, config: Any, claim: Claim) -> RunOutcome:
    from rlkit.trainers.callbacks import SaveByTheClock
    from rlkit.trainers.sft.watching import OverfittingWatch

    rows = load_rows(recipe, checked)
    held = f", {len(rows.held_out):,} held out" if rows.held_out else ""
    pushed = f", {len(rows.pushed):,} to push down" if rows.pushed else ""
    say_where_it_starts(claim, recipe.output, f"{recipe.model} on {len(rows.learnt):,} rows{held}{pushed}")
    trainer = build_trainer(checked, rows, config)
    callbacks: list[Any] = [] if "save_strategy" in recipe.train else [SaveByTheClock()]
    if rows.held_out:
        watch = OverfittingWatch(rows.learnt, rows.held_out, config.seed)
        watch.trainer = trainer
        callbacks.append(watch)
    return train_and_save(trainer, recipe.output, claim, callbacks, trainer.accelerator.end_training, _SHOWN)


def build_trainer(checked: CheckedSft, rows: SftRows, config: Any) -> Any:
    """Load the model and put the trainer together; nothing is trained or written yet.

    Raises:
        ConfigError: the model cannot be loaded, or the adapter does not fit it.
    """
    from datasets import Dataset

    from rlkit.trainers.sft.encoding import make_examples, pack_examples
    from rlkit.trainers.sft.pushing import NegativeRows
    from rlkit.trainers.sft.trainer import DiverseSFTTrainer
    from rlkit.trainers.trial import check_adapter

    if checked.peft is not None:
        check_adapter(checked.model, vars(config), checked.peft)
    columns = pack_examples(rows.learnt, config.max_length) if config.packing else make_examples(rows.learnt)
    dataset = Dataset.from_dict(columns)
    if config.packing:
        note(f"{len(rows.learnt):,} rows are packed into {len(dataset):,} of up to {config.max_length:,} tokens.")
    negatives = None
    if checked.negatives is not None:
        negatives = NegativeRows(checked.negatives, Dataset.from_dict(make_examples(rows.pushed)), config.seed)
    return DiverseSFTTrainer(
        model=checked.model,
        args=config,
        train_dataset=dataset,
        processing_class=rows.tokenizer,
        peft_config=checked.peft,
        negatives=negatives,
    )
