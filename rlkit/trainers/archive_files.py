"""Solutions as they lie in archives and as the rows that a trainer learns from: read, checked, encoded."""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.archive import Archive, ArchiveRow
from rlkit.errors import ConfigError, StoreError
from rlkit.objective import ArchiveLikelihood
from rlkit.objective.stored import StoredRow
from rlkit.parameters import show
from rlkit.recipe.plan import Plan
from rlkit.tasks.held_out import HeldOut
from rlkit.terminal import note
from rlkit.trainers.host import TrainerHost

Learnable = tuple[ArchiveRow, StoredRow]
"""A solution, and the tokens that it is learnt from."""

_HELD_OUT = ("test", "validation")
"""Splits that nothing is learnt from."""


def read_solutions(settings: ArchiveLikelihood) -> list[ArchiveRow]:
    """Return the solutions of a run's archives, one archive after the other.

    Raises:
        StoreError: one is not there, cannot be read, or holds no solution.
        ConfigError: an archive has no weights of that name.
    """
    found: list[ArchiveRow] = []
    for path in settings.sources:
        rows = Archive.open(path).rows(settings.per_problem, settings.weights, settings.capacity, settings.seed)
        if not rows:
            raise StoreError(f"The archive {path} holds no solution to learn from; collect some, or leave it out.")
        found += rows
    return found


def check_archives(plan: Plan) -> None:
    """Check that a run's archives can be read, and that none of their problems is held out.

    Raises:
        ConfigError: one is, by its id or by its prompt; or there are no such weights.
        StoreError: an archive cannot be read, or holds no solution.
    """
    solutions = [] if plan.archive is None else read_solutions(plan.archive)
    if not solutions:
        return
    held_out = HeldOut(plan.task, _HELD_OUT)
    if found := held_out.find((one.problem, one.prompt) for one in solutions):
        raise ConfigError(
            f"The archives of this run hold {len(found):,} problems that task {plan.task.name!r} holds out, such as "
            f"{show(min(found)[0])}; what is trained on can measure nothing, so collect from the split train."
        )


def encode_solutions(host: TrainerHost, solutions: Sequence[ArchiveRow]) -> list[Learnable]:
    """Return solutions with their tokens: prompts as the trainer writes them for rollouts, completions with their end.

    Those longer than `max_completion_length`, which no rollout can be, are left out and counted.
    """
    prompts = list({str(solution.prompt): solution.prompt for solution in solutions}.values())
    ids = {str(prompt): prompt_ids for prompt, prompt_ids in zip(prompts, host.encode_prompts(prompts), strict=True)}
    found = []
    for solution in solutions:
        prompt_ids = ids[str(solution.prompt)]
        completion_ids = _encode_completion(host, solution, prompt_ids)
        found.append((solution, StoredRow(prompt_ids, completion_ids, weight=solution.weight)))
    most = host.args.max_completion_length
    kept = [(solution, row) for solution, row in found if most is None or len(row.completion_ids) <= most]
    if len(kept) < len(found):
        note(
            f"{len(found) - len(kept):,} of {len(found):,} archived solutions are left out: they are longer than "
            f"train.max_completion_length, {most:,} tokens with their end."
        )
    return kept


def _encode_completion(host: TrainerHost, solution: ArchiveRow, prompt_ids: list[int]) -> list[int]:
    tokenizer, prompt = host._tokenizer, solution.prompt
    ids: list[int] | None = None
    if isinstance(prompt, str):
        # Some tokenizers begin every text with a space of their own, which is not there in the middle of one.
        whole = list(tokenizer(prompt + solution.completion)["input_ids"])
        ids = whole[len(prompt_ids) :] if whole[: len(prompt_ids)] == prompt_ids else None
    if ids is None:
        ids = list(tokenizer(solution.completion, add_special_tokens=False)["input_ids"])
    while ids and ids[-1] in host.eos_token_ids:
        ids.pop()
    return [*ids, int(tokenizer.eos_token_id)]
