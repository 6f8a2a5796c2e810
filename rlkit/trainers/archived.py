"""An archive of solutions beside the rollouts: read, learnt from in turn, grown where that is asked, and watched.

What is done with the rows of a step is in `stored_rows.py`, which rows they are in `archive_schedule.py`. Everything
here is the same on every rank; what a continued run needs is saved with each checkpoint, solutions that training found
among it, because the file that they are also written to may be ahead of the checkpoint.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from trl.models.utils import disable_gradient_checkpointing

from rlkit.archive import ArchiveRow
from rlkit.errors import StoreError
from rlkit.files import read_json, write_json
from rlkit.objective import ArchiveLikelihood
from rlkit.objective.stored import StoredRow
from rlkit.recipe.plan import Plan
from rlkit.terminal import note
from rlkit.trainers.archive_files import Learnable, encode_solutions, read_solutions
from rlkit.trainers.archive_growth import Findings, gather_drawn, list_new, read_keys
from rlkit.trainers.archive_schedule import ReplaySchedule
from rlkit.trainers.groups import ScoredBatch
from rlkit.trainers.host import TrainerHost
from rlkit.trainers.loss import MODEL_INPUTS, Rows
from rlkit.trainers.overfitting import OverfittingWatch
from rlkit.trainers.statistics import Statistics
from rlkit.trainers.update import PROMPT_KEYS

FILE = "archive_state.json"
"""Its name in a checkpoint."""

_FRESH = 64
"""Fresh solutions of a batch, over all ranks, whose likelihood is measured."""


class ArchivedSolutions:
    """Keeps the solutions that a trainer learns from beside its rollouts.

    Raises:
        StoreError: an archive cannot be read, or holds nothing.
    """

    def __init__(self, host: TrainerHost, plan: Plan, settings: ArchiveLikelihood) -> None:
        self._host, self._plan, self._settings = host, plan, settings
        self._schedule = ReplaySchedule(settings.rows_per_step, settings.uses_per_solution, settings.seed)
        self._rows: list[StoredRow] = []
        self._keys: set[tuple[str, str]] = set()
        self._counts: Counter[str] = Counter()
        self._grown: list[Learnable] = []
        self._pending: list[Learnable] = []
        self._findings = Findings(host, plan) if settings.grow else None
        self._watch = OverfittingWatch()
        self._is_spent_said = False
        solutions = read_solutions(settings)
        self._take_in(encode_solutions(host, solutions))
        self._num_given = len(self._rows)
        if solutions:
            note(f"Learning from {len(self._rows):,} archived solutions of {len(self._counts):,} problems.")
        if settings.grow and plan.sampler is None:
            note(_FEEDS_ITSELF)

    # As a store of rows.

    @property
    def stored_loss(self) -> ArchiveLikelihood:
        """The likelihood."""
        return self._settings

    def choose(self) -> list[StoredRow]:
        """Return the rows of the present optimizer step; none once all have retired."""
        return [self._rows[place] for place in self._schedule.choose()]

    def measure(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor, mask_BT: torch.Tensor) -> Statistics:
        """Return the mean over rows of the mean negative log-likelihood over their tokens, to be logged."""
        statistics = Statistics()
        counts_B1 = mask_BT.sum(dim=1, keepdim=True)
        nll_B1 = -logps_BT.masked_fill(mask_BT == 0, 0).sum(dim=1, keepdim=True) / counts_B1.clamp(min=1)
        statistics.add("archive/nll", nll_B1, (counts_B1 > 0).expand(mask_BT.shape))
        return statistics

    # What training does with it.

    def observe_nll(self, nll: float) -> None:
        """Note the mean negative log-likelihood of the rows of a step; NaN says nothing."""
        self._watch.observe_archived(nll)

    def observe(self, batch: ScoredBatch, prompts: Sequence[Any]) -> dict[str, float]:
        """Look at a generation batch, keep what it found where that is asked, and return what is to be logged.

        A collective. What is kept counts from the next batch on.

        Args:
            batch: of all ranks, with this rank's rows.
            prompts: of this rank's rows, as texts or messages.
        """
        self.finish_batch()
        keys_B = read_keys(batch)
        known_B = [key in self._keys for key in keys_B]
        correct_B = (batch.groups.correct_PG == 1).flatten().tolist()
        # A problem without a solution in the archive can give none of it back.
        asked_B = [correct and self._counts[key[0]] > 0 for correct, key in zip(correct_B, keys_B, strict=True)]
        logged = {"archive/rows_left": float(self._schedule.num_left)}
        if any(asked_B):
            logged["archive/reproduced"] = sum(map(operator.and_, known_B, asked_B)) / sum(asked_B)
        new_B = [correct and not known for correct, known in zip(correct_B, known_B, strict=True)]
        fresh = self._measure_fresh(batch.rows, new_B[batch.place])
        if not math.isnan(fresh):
            logged["archive/nll_fresh"] = fresh
        # What is still new to an archive that grows is rarer each time, whatever has been learnt.
        if not self._settings.grow and (said := self._watch.observe_fresh(fresh)):
            note(said)
        if self._findings is not None:
            drawn = gather_drawn(self._host, batch, prompts, correct_B, new_B)
            self._findings.add(drawn)
            self._pending = list_new(drawn)
        return logged

    @torch.no_grad()
    def _measure_fresh(self, rows: Rows, is_new_B: Sequence[bool]) -> float:
        """Return the mean over new solutions of the mean negative log-likelihood over their tokens; NaN for none."""
        host = self._host
        most = min(len(is_new_B), max(1, _FRESH // host.accelerator.num_processes))
        if not self._settings.is_learnt or any(key in rows for key in MODEL_INPUTS):
            return math.nan
        # As many rows on every rank, for the forward pass may be a collective.
        places = sorted(range(len(is_new_B)), key=lambda place: not is_new_B[place])[:most]
        chosen = {key: rows[key][places] for key in (*PROMPT_KEYS, "completion_ids", "completion_mask")}
        batch_size = host.args.per_device_train_batch_size
        with disable_gradient_checkpointing(host.model, host.args.gradient_checkpointing_kwargs):
            logps_BT = host.forward(host.model, chosen, batch_size=batch_size)[0]
        is_new_B1 = torch.tensor([[is_new_B[place]] for place in places], device=logps_BT.device)
        found = self.measure(logps_BT, logps_BT, chosen["completion_mask"] * is_new_B1)
        return found.reduce(host.accelerator)["archive/nll"]

    def finish_batch(self) -> None:
        """Take in what the batch before found."""
        self._grown += self._take_in(self._pending)
        self._pending = []
        if self._findings is not None:
            self._findings.finish_batch()

    def _take_in(self, found: Iterable[Learnable]) -> list[Learnable]:
        """Add what is not there yet and has room, and return it."""
        taken, capacity = [], self._settings.capacity
        for solution, row in found:
            key = (solution.problem, solution.key)
            if key not in self._keys and (capacity is None or self._counts[solution.problem] < capacity):
                self._keys.add(key)
                self._counts[solution.problem] += 1
                self._rows.append(row)
                taken.append((solution, row))
        self._schedule.add(len(taken))
        return taken

    def finish_step(self) -> None:
        """Go on to the rows of the next step; says once that none is left."""
        self._schedule.advance()
        if self._rows and self._schedule.num_left == 0 and not self._settings.grow and not self._is_spent_said:
            self._is_spent_said = True
            uses = self._settings.uses_per_solution
            note(
                f"All {len(self._rows):,} archived solutions have been used {uses} times and are retired; from here on "
                "the archive adds nothing to the loss. Raise archive.uses_per_solution to go on."
            )

    # What a continued run needs.

    def save(self, directory: str | Path) -> None:
        """Write the state into a checkpoint; on rank 0 only."""
        state = {
            "num_given": self._num_given,
            "schedule": self._schedule.to_json(),
            "watch": self._watch.to_json(),
            "is_spent_said": self._is_spent_said,
            "grown": [{**asdict(solution), "row": asdict(row)} for solution, row in self._grown],
            "findings": [] if self._findings is None else self._findings.to_json(),
        }
        write_json(Path(directory) / FILE, state, indent=None)

    def load(self, directory: str | Path) -> None:
        """Read the state of a checkpoint.

        Raises:
            StoreError: it has none, or the archives hold others than when the run began.
        """
        path = Path(directory) / FILE
        if not path.is_file():
            raise StoreError(f"The checkpoint {directory} has no {FILE}, which this run's archive needs; start anew.")
        state = read_json(path)
        if state["num_given"] != self._num_given:
            raise StoreError(
                f"The archives of this run hold {self._num_given:,} solutions, and held {state['num_given']:,} when it "
                "began; put back what was there, or start anew."
            )
        grown = [
            (ArchiveRow(**{key: value for key, value in entry.items() if key != "row"}), StoredRow(**entry["row"]))
            for entry in state["grown"]
        ]
        self._pending = []
        self._grown = self._take_in(grown)
        if self._findings is not None:
            self._findings.restore(state["findings"])
        self._schedule.restore(state["schedule"])
        self._watch.restore(state["watch"])
        self._is_spent_said = state["is_spent_said"]


_FEEDS_ITSELF = (
    "Warning: with archive.grow the policy learns from what it finds, and it finds what it prefers already, so that it "
    "narrows; sampler: frozen, or archives of an earlier model's samples (archive.from), avoid that."
)
