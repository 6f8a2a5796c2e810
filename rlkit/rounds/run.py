"""A run in rounds, from first check to report; every stage can be killed and goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.collecting import collect_solutions
from rlkit.recipe.rounds import RoundsRecipe
from rlkit.rounds import stages
from rlkit.rounds.history import (
    Entry,
    describe_round,
    find_changes,
    has_risen,
    measure,
    read_history,
    tabulate,
    write_history,
)
from rlkit.runs import RunDirectory
from rlkit.terminal import note, say
from rlkit.trainers.claiming import RunOutcome, record_status

_UNIT = "round"


def check_rounds(recipe: RoundsRecipe) -> str | None:
    """Check all of a recipe that can be known without problems and the model's weights, the fine-tuning too.

    Returns:
        What could not be tried, as a sentence.

    Raises:
        RlkitError: naming what would stop the run.
    """
    from rlkit.diversity import resolve_partition
    from rlkit.tasks import resolve_task
    from rlkit.trainers.stack import quiet_libraries

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            "Rounds are run by rlkit train alone, without a launcher: each stage is a command of its own."
        )
    quiet_libraries()
    from rlkit.trainers.sft.preparing import check_sft
    from rlkit.trainers.trial import check_machine

    resolve_task(recipe.task)
    if recipe.partition is not None:
        resolve_partition(recipe.partition)
    for options in (recipe.draw(1), recipe.evaluation()):
        _check_sampling(recipe, options)
    check_machine(check_sft(recipe.fine_tuning(1)).settings)
    return "Its rows are those that the rounds will find, so they were not tried."


def run_rounds(recipe: RoundsRecipe, *, overwrite: bool = False) -> RunOutcome:
    """Run all rounds, or go on where the output directory stopped.

    Returns:
        Its `step` is the number of rounds done.

    Raises:
        RlkitError: a stage failed, or the directory holds something else.
        KeyboardInterrupt: broken off, by Ctrl-C or SIGTERM; the same command goes on.
    """
    directory = RunDirectory(recipe.output)
    done = None if overwrite else directory.finished_step(recipe)
    if done is not None:
        return RunOutcome("already finished", done, recipe.output, _UNIT)
    check_rounds(recipe)
    with directory.lock():
        claim = directory.inspect(recipe, overwrite)
        if claim.action == "nothing":
            return RunOutcome("already finished", claim.step, recipe.output, _UNIT)
        directory.prepare(recipe, claim, overwrite)
        with record_status(directory, claim, 1, True, {"kind": recipe.kind}), _term_as_interrupt():
            _refuse_held_out(recipe)
            return _go_on(recipe, directory)


def _go_on(recipe: RoundsRecipe, directory: RunDirectory) -> RunOutcome:
    path, n = directory.path / "rounds.json", recipe.evaluation()["n"]
    history = read_history(path)
    place = f"round {len(history)}" if history else "the base"
    note(f"{recipe.output}: {recipe.rounds} rounds of {recipe.samples} samples a problem; at {place}.")
    if not history:
        stages.evaluate_base(recipe)
        history.append({"round": 0, "samples": 0, "correct": 0, "solutions": 0, **measure(directory.path / "base", n)})
        write_history(path, history)
    while not _is_over(recipe, history):
        began = None if (directory.path / f"round-{len(history)}").exists() else time.monotonic()
        history.append(_run_round(recipe, directory.path, history[-1]))
        write_history(path, history)
        directory.write_state(step=len(history) - 1, max_steps=recipe.rounds)
        note(describe_round(history[-1]))
        if began is not None and not _is_over(recipe, history):
            minutes = (recipe.rounds - history[-1]["round"]) * (time.monotonic() - began) / 60
            note(f"The rounds that are left take about {max(1, round(minutes))} min at most.")
    last = len(history) - 1
    _keep_model(directory.path, directory.path / f"round-{last}" / "sft" / "model")
    stages.report(recipe, range(1, last + 1))
    say("\n".join(tabulate(history)))
    directory.write_state(status="finished", step=last)
    return RunOutcome("finished", last, recipe.output, _UNIT)


def _run_round(recipe: RoundsRecipe, output: Path, before: Entry) -> Entry:
    number, n = before["round"] + 1, recipe.evaluation()["n"]
    draws = stages.draw(recipe, number)
    # An archive a round: what this round's fine-tuning reads does not change when a later round finds more.
    path = output / f"round-{number}" / "archive.jsonl"
    if number > 1 and not path.exists():
        part = path.with_suffix(".part")
        shutil.copyfile(output / f"round-{number - 1}" / "archive.jsonl", part)
        os.replace(part, path)
    archive, found = collect_solutions(
        path, [draws], task=recipe.task, partition=recipe.partition, held_out=_held_out(recipe), round=number
    )
    if not archive.num_solutions:
        raise ConfigError(
            f"Not one of {found.num_samples:,} samples is correct, so there is nothing to learn; raise samples or "
            "problems, or begin with a model that solves some."
        )
    stages.fine_tune(recipe, number)
    here = stages.evaluate(recipe, number)
    changes = find_changes(output / "base" if number == 1 else output / f"round-{number - 1}" / "sft", here, n)
    return {
        "round": number,
        "samples": before["samples"] + found.num_samples,
        "correct": before["correct"] + found.num_correct,
        "solutions": archive.num_solutions,
        **measure(here, n),
        "changes": changes,
        "stopped": recipe.stop and not has_risen(changes),
    }


def _is_over(recipe: RoundsRecipe, history: list[Entry]) -> bool:
    return len(history) > recipe.rounds or bool(history[-1].get("stopped"))


def _held_out(recipe: RoundsRecipe) -> list[tuple[Any, str]]:
    return [(recipe.task, str(recipe.evaluation()["split"]))]


def _refuse_held_out(recipe: RoundsRecipe) -> None:
    """Say that a training problem is held out before samples are drawn of it, not after."""
    from rlkit.tasks import resolve_task
    from rlkit.tasks.held_out import HeldOut
    from rlkit.tasks.rows import load_rows

    task = resolve_task(recipe.task)
    rows = load_rows(task, "train")[: recipe.problems]
    others = [(resolve_task(spec), split) for spec, split in _held_out(recipe)]
    if found := HeldOut(task, ("test",), others).find((row["id"], row["prompt"]) for row in rows):
        raise ConfigError(
            f"{len(found)} of the {len(rows)} training problems are held out, such as {found[0][0]!r} of "
            f"{found[0][1]}; give the task a split train that shares none with what it is evaluated on."
        )


def _check_sampling(recipe: RoundsRecipe, options: dict[str, Any]) -> None:
    from rlkit.evaluation.request import EvaluationRequest

    temperature = options["temperature"]
    more = {key: options[key] for key in ("split", "limit", "engine", "partition") if key in options}
    for each in temperature if isinstance(temperature, list) else [temperature]:
        sampling = {**recipe.sampling, "temperature": each}
        EvaluationRequest(recipe.model, recipe.task, options["n"], "samples", sampling=sampling, **more)


def _keep_model(output: Path, model: Path) -> None:
    part = output / "model.part"
    for old in (part, output / "model"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(model, part)
    os.replace(part, output / "model")


@contextlib.contextmanager
def _term_as_interrupt() -> Iterator[None]:
    """Take SIGTERM, with which schedulers end a job, as Ctrl-C: stages save what they have."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
