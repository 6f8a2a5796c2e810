"""What training finds: correct rollouts of all ranks, counted by problem and solution, and written to an archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object

from rlkit.archive import Archive, ArchiveRow, Finding, Solution, Source
from rlkit.archive.contents import merge_solutions
from rlkit.objective.stored import StoredRow
from rlkit.parameters import name_in_recipes
from rlkit.recipe.plan import Plan
from rlkit.trainers.archive_files import Learnable
from rlkit.trainers.groups import ScoredBatch
from rlkit.trainers.host import TrainerHost
from rlkit.types import Prompt

FILE = "archive.jsonl"
"""Its name in the output directory."""


@dataclass(frozen=True)
class Drawn:
    """One rollout of a problem."""

    problem: str
    prompt: Prompt
    solution: Solution | None = None
    """What it solves the problem by; None where it is wrong, was cut off before its end, or has no key."""
    row: StoredRow | None = None
    """The tokens of a solution that is new."""


def read_keys(batch: ScoredBatch) -> list[tuple[str, str | None]]:
    """Return problem and key of each completion of all ranks; None where the partition gives no key.

    A feature that is text is the key, as in archives; one of another kind is one by what it is written as.
    """
    features_B = batch.features.features_B or [None] * len(batch.features.prompt_ids_B)
    keys_B = [feature if feature is None or isinstance(feature, str) else repr(feature) for feature in features_B]
    return list(zip(batch.features.prompt_ids_B, keys_B, strict=True))


def gather_drawn(
    host: TrainerHost,
    batch: ScoredBatch,
    prompts: Sequence[Any],
    is_correct_B: Sequence[bool],
    is_new_B: Sequence[bool],
) -> list[Drawn]:
    """Return the rollouts of all ranks, in world order; a collective.

    Args:
        host: the trainer.
        batch: of all ranks, with this rank's rows.
        prompts: of this rank's rows; what is no text or chat is left out.
        is_correct_B, is_new_B: of all ranks.
    """
    local, rows = [], batch.rows
    keys = read_keys(batch)[batch.place]
    judged = zip(prompts, keys, is_correct_B[batch.place], is_new_B[batch.place], strict=True)
    for place, (prompt, (problem, key), is_correct, is_new) in enumerate(judged):
        if prompt is None:
            continue
        ids = rows["completion_ids"][place][rows["completion_mask"][place].bool()].tolist()
        if not is_correct or key is None or not ids or ids[-1] not in host.eos_token_ids:
            local.append(Drawn(problem, prompt))
            continue
        solution = Solution(key, host._tokenizer.decode(ids, skip_special_tokens=True), 1)
        prompt_ids = rows["prompt_ids"][place][rows["prompt_mask"][place].bool()].tolist()
        local.append(Drawn(problem, prompt, solution, StoredRow(prompt_ids, ids) if is_new else None))
    return list(gather_object(local))


def list_new(drawn: Sequence[Drawn]) -> list[Learnable]:
    """Return the new solutions among rollouts, with their tokens; one of them may be there twice."""
    return [
        (ArchiveRow(one.problem, one.prompt, one.solution.completion, one.solution.key), one.row)
        for one in drawn
        if one.solution is not None and one.row is not None
    ]


class Findings:
    """All that the rollouts of a run have found of each problem, and the archive that holds it.

    A batch is written when it is drawn and counts from the next one on, as everything that a checkpoint holds: a
    continued run, which draws it again, finds the same and writes nothing new.
    """

    def __init__(self, host: TrainerHost, plan: Plan) -> None:
        self._host, self._plan = host, plan
        self._path = Path(host.args.output_dir) / FILE
        self._found: dict[str, Finding] = {}
        self._pending: dict[str, Finding] = {}

    def add(self, drawn: Sequence[Drawn]) -> None:
        """Add a batch of rollouts; rank 0 writes it."""
        by_problem: dict[str, list[Drawn]] = defaultdict(list)
        for one in drawn:
            by_problem[one.problem].append(one)
        self._pending = {problem: self._join(problem, several) for problem, several in by_problem.items()}
        if self._host.accelerator.is_main_process:
            self._open().add(self._source, self._pending.values())

    def _join(self, problem: str, several: list[Drawn]) -> Finding:
        before = self._found.get(problem, Finding(problem, several[0].prompt, 0, 0))
        solutions = [one.solution for one in several if one.solution is not None]
        return Finding(
            problem,
            before.prompt,
            before.drawn + len(several),
            before.correct + len(solutions),
            merge_solutions([*before.solutions, *solutions]),
        )

    def _open(self) -> Archive:
        task = getattr(self._plan.task, "name", None)
        return Archive.create(self._path, task=task, partition=name_in_recipes(self._plan.partition))

    @property
    def _source(self) -> Source:
        model = self._plan.model or self._host.model.config._name_or_path
        return Source("rollouts of training", str(model), self._host.args.temperature)

    def finish_batch(self) -> None:
        """Count the batch that was added last."""
        self._found |= self._pending
        self._pending = {}

    def to_json(self) -> list[dict[str, Any]]:
        """Return what a continued run needs."""
        return [asdict(finding) for finding in self._found.values()]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go on where `to_json` was asked."""
        self._pending = {}
        self._found = {
            entry["problem"]: Finding(**{**entry, "solutions": tuple(Solution(**one) for one in entry["solutions"])})
            for entry in state
        }
