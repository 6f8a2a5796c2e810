"""What is known of a generation batch beside its rewards: classes, answers, embeddings, log-probs; gathered over ranks.

Every function here that takes an accelerator is a collective: all ranks must call it, in the same order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate.utils import gather_object

from rlkit.diversity import NO_ANSWER, label_by_first_seen, read_features, read_vectors
from rlkit.types import completion_text

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Readings:
    """What was read off the completions of a generation batch; lists have B entries, in world order."""

    rewards_BK: torch.Tensor
    lengths_B: list[int]
    prompt_ids_B: list[str]
    features_B: list[Any] | None = None
    answers_B: list[str | None] | None = None
    embeddings_B: list[np.ndarray] | None = None
    scores: Any = None
    """What became of each reward's calls."""
    labels_B: list[Any] | None = None
    """Classes that a group reward gave, for runs that name no partition."""


@dataclass(frozen=True)
class Readers:
    """What reads completions; None where nobody asks."""

    partition: Any = None
    answers: Any = None
    """A partition whose features are the answers."""
    embedding: Any = None

    def read(
        self, inputs: list[dict], completions: list, ids: list[list[int]], truncated: list[bool]
    ) -> dict[str, Any]:
        """Return the fields of `Readings` except the rewards, for the rows of all ranks."""
        columns = {key: [row[key] for row in inputs] for key in inputs[0] if key != "prompt"}
        columns["truncated"] = truncated
        texts = [completion_text(completion) for completion in completions]
        found: dict[str, Any] = {
            "lengths_B": gather_object([len(row) for row in ids]),
            "prompt_ids_B": gather_object([identify_prompt(row) for row in inputs]),
        }
        if self.partition is not None:
            found["features_B"] = gather_object(read_features(self.partition, texts, **columns))
        if self.answers is not None:
            keys = read_features(self.answers, texts, **columns)
            found["answers_B"] = gather_object([None if key in (None, NO_ANSWER) else str(key) for key in keys])
        if self.embedding is not None:
            found["embeddings_B"] = gather_object(list(read_vectors(self.embedding, texts)))
        return found


def identify_prompt(row: dict[str, Any]) -> str:
    """Return the row's `id`, or a digest of its prompt where it has none."""
    if row.get("id") is not None:
        return str(row["id"])
    return hashlib.sha256(json.dumps(row["prompt"], sort_keys=True).encode()).hexdigest()[:16]


def split_groups(rows_B: Sequence[Item], num_generations: int) -> list[list[Item]]:
    """Return rows in world order as groups."""
    return [list(rows_B[start : start + num_generations]) for start in range(0, len(rows_B), num_generations)]


def share_out(function: Callable[[Item], Result], items: Sequence[Item], rank: int, world_size: int) -> list[Result]:
    """Apply a function to every item, each on one rank only, and return all results, in order, on all of them."""
    mine = [(index, function(items[index])) for index in range(rank, len(items), world_size)]
    return [result for _, result in sorted(gather_object(mine), key=lambda pair: pair[0])]


def label_answers(answers_G: Sequence[str | None]) -> np.ndarray:
    """Number the answers of a group in order of first appearance; -1 where there is none."""
    labels_G = label_by_first_seen([answer for answer in answers_G if answer is not None])
    result = np.full(len(answers_G), -1, dtype=np.int64)
    result[[answer is not None for answer in answers_G]] = labels_G
    return result


def stack_embeddings(embeddings_B: list[np.ndarray], num_generations: int) -> torch.Tensor:
    """Return embeddings of shape (P, G, E)."""
    return torch.as_tensor(np.stack(embeddings_B)).unflatten(0, (-1, num_generations))


def gather_ragged(rows_BT: torch.Tensor, accelerator: Any) -> torch.Tensor:
    """Return the rows of all ranks, padded by NaN to the longest; on the CPU, float64."""
    padded = accelerator.pad_across_processes(rows_BT.float().contiguous(), dim=1, pad_index=float("nan"))
    gathered: torch.Tensor = accelerator.gather(padded)
    return gathered.detach().to(device="cpu", dtype=torch.float64)
