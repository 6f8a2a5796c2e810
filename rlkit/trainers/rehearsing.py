"""Rehearsal of mastered prompts on frozen samples of the initial policy, without a reference model in memory.

Before the first step the initial policy answers some prompts of the training set, in rounds as large as a generation
batch. Prompts that it masters give their correct completions, with the log-probs it gave them, to a fixed set that is
written to the output directory; each optimizer step then takes a few of its rows, in a fixed cycle (`stored_rows.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object

from rlkit.errors import StoreError
from rlkit.files import refuse_constant, write_text
from rlkit.objective import Rehearsal
from rlkit.objective.stored import StoredRow
from rlkit.terminal import note
from rlkit.trainers.groups import split_groups
from rlkit.trainers.host import TrainerHost
from rlkit.trainers.statistics import Statistics

FILE = "rehearsal.jsonl"
"""Its name in the output directory: one JSON object a row."""


_COUNT = "num_rows"
"""What the first line says, so that a file that was cut short is known; older versions wrote none."""
_KINDS = {"prompt_ids": int, "completion_ids": int, "logps": float}


def read_rows(path: Path) -> list[dict[str, list]]:
    """Return the rows of a rehearsal file.

    Raises:
        StoreError: a line is no row, or some are missing.
    """
    rows, count = [], None
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line, parse_constant=refuse_constant)
        except (ValueError, RecursionError):
            row = None
        if number == 1 and isinstance(row, dict) and isinstance(row.get(_COUNT), int):
            count = row[_COUNT]
        elif _is_row(row):
            rows.append(row)
        else:
            raise StoreError(f"Line {number} of {path} is no row to rehearse on, as if cut short; start the run anew.")
    if count is not None and count != len(rows):
        raise StoreError(f"{path} holds {len(rows)} of {count} rows to rehearse on; start the run anew.")
    return rows


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), list) for key in _KINDS):
        return False
    has_kinds = all(type(value) in (kind, int) for key, kind in _KINDS.items() for value in row[key])
    return has_kinds and 0 < len(row["completion_ids"]) == len(row["logps"])


class Rehearser:
    """Draws and keeps a trainer's rehearsal rows."""

    def __init__(self, host: TrainerHost, settings: Rehearsal) -> None:
        self._host, self._settings = host, settings
        self._path = Path(host.args.output_dir) / FILE
        self._rows: list[dict[str, list]] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the rows have been drawn."""
        return self._rows is not None

    def draw(self, num_local_rows: int) -> None:
        """Sample the policy as it is now and keep what it masters; all ranks must call it.

        Args:
            num_local_rows: rows of a generation batch on this rank.
        """
        host = self._host
        num_generations = host.num_generations
        prompts_a_round = num_local_rows * host.accelerator.num_processes // num_generations
        num_prompts = min(self._settings.num_prompts, len(host.train_dataset))
        rounds = -(-num_prompts // prompts_a_round)
        first_row = host.accelerator.process_index * num_local_rows
        rows = []
        note(f"Asking the initial policy {num_prompts} problems, to see which it has mastered.")
        for start in range(0, rounds * prompts_a_round, prompts_a_round):
            places = [start + (first_row + row) // num_generations for row in range(num_local_rows)]
            found = self._sample([host.train_dataset[place % len(host.train_dataset)] for place in places])
            rows += [row for group in split_groups(found, num_generations) for row in self._mastered(group)]
        self._rows = rows
        note(f"Rehearsing {len(rows)} completions of the initial policy." if rows else _NOTHING_MASTERED)
        if host.accelerator.is_main_process:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, "".join(json.dumps(line) + "\n" for line in [{_COUNT: len(rows)}, *rows]))

    def _sample(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the completions of all ranks in world order, with their log-probs and whether each is correct."""
        output, correct_B, logps_BT = self._host.sample(inputs)
        local = []
        for row in range(len(inputs)):
            has_token = output["completion_mask"][row].bool()
            is_prompt = output["prompt_mask"][row].bool()
            local.append(
                {
                    "prompt_ids": output["prompt_ids"][row][is_prompt].tolist(),
                    "completion_ids": output["completion_ids"][row][has_token].tolist(),
                    "logps": logps_BT[row][has_token].tolist(),
                }
            )
        rows = gather_object(local)
        return [{**row, "correct": is_correct} for row, is_correct in zip(rows, correct_B, strict=True)]

    def _mastered(self, group: list[dict[str, Any]]) -> list[dict[str, list]]:
        correct = [row for row in group if row["correct"]]
        if not correct or not self._settings.is_mastered(len(correct) / len(group)):
            return []
        # One that was cut at the limit has no tokens left under mask_truncated_completions.
        whole = [row for row in correct if row["completion_ids"]]
        return [{key: row[key] for key in ("prompt_ids", "completion_ids", "logps")} for row in whole]

    def load(self) -> None:
        """Read the rows that the start of this run drew.

        Raises:
            StoreError: the output directory does not hold them.
        """
        if not self._path.is_file():
            raise StoreError(f"{self._path} is missing, but this run rehearses on it; start the run anew.")
        self._rows = read_rows(self._path)

    @property
    def stored_loss(self) -> Rehearsal:
        """The divergence from the initial policy."""
        return self._settings

    def choose(self) -> list[StoredRow]:
        """Return the rows of the present optimizer step, in a fixed cycle; none where nothing was mastered."""
        if not self._rows:
            return []
        count = self._settings.rows_per_step
        first = self._host.state.global_step * count
        return [_to_stored(self._rows[place % len(self._rows)]) for place in range(first, first + count)]

    def measure(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor, mask_BT: torch.Tensor) -> Statistics:
        """Return the divergence, to be logged."""
        statistics = Statistics()
        statistics.add("rehearsal/divergence", self._settings.losses(logps_BT, ref_logps_BT), mask_BT)
        return statistics


def _to_stored(row: dict[str, list]) -> StoredRow:
    return StoredRow(row["prompt_ids"], row["completion_ids"], row["logps"])


_NOTHING_MASTERED = "The initial policy has mastered none of them, so nothing is rehearsed; lower mastered_above."
