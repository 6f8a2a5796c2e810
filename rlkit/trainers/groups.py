"""What is known of a generation batch beside its rewards: classes, answers, embeddings, lengths; gathered over ranks.

Every function here that takes an accelerator, a rank or a plan is a collective: all ranks must call it, in the same
order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate.utils import gather_object

from rlkit.advantages import GroupContext
from rlkit.diversity import (
    NO_ANSWER,
    PairwisePartition,
    close_pairs,
    judge_pairs,
    label_by_first_seen,
    label_group,
    read_features,
    read_vectors,
)
from rlkit.recipe.plan import Plan
from rlkit.trainers.scoring import Scores
from rlkit.types import completion_text

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchFeatures:
    """What was read off the completions of a generation batch; lists have B entries, in world order."""

    lengths_B: list[int]
    """In tokens."""
    prompt_ids_B: list[str]
    features_B: list[Any] | None = None
    """What the partition compares; None without one."""
    truncated_B: list[bool] | None = None
    """Whether a completion ran out of room, by its last token."""
    answers_B: list[str | None] | None = None
    embeddings_B: list[np.ndarray] | None = None


@dataclass(frozen=True)
class ScoredBatch:
    """A generation batch that was sampled and scored, before it has advantages of ours."""

    rows: dict[str, Any]
    """This rank's tensors by TRL's names, TRL's `advantages` among them, which losses are given by micro-batches.
    What is added under another name, one number a row (B,) or a token (B, T), comes along."""
    place: slice
    """Where among the rows of all ranks, in world order, this rank's are."""
    groups: GroupContext
    """What is known of the groups of all ranks, the same on every rank; `summed_rewards_PG` are the rewards' totals."""
    features: BatchFeatures
    """What was read off the completions of all ranks."""
    scores: Scores
    """What became of the calls of rewards, of all ranks."""


def read_batch(
    plan: Plan, inputs: list[dict], completions: list, ids: list[list[int]], truncated: list[bool]
) -> BatchFeatures:
    """Read this rank's completions, each where it was sampled, and return those of all ranks."""
    columns = {key: [row[key] for row in inputs] for key in inputs[0] if key != "prompt"}
    columns["truncated"] = truncated
    texts = [completion_text(completion) for completion in completions]
    found: dict[str, Any] = {
        "lengths_B": gather_object([len(row) for row in ids]),
        "prompt_ids_B": gather_object([identify_prompt(row) for row in inputs]),
        "truncated_B": gather_object(truncated),
    }
    if plan.partition is not None:
        found["features_B"] = gather_object(read_features(plan.partition, texts, **columns))
    if plan.answers is not None:
        keys = read_features(plan.answers, texts, **columns)
        found["answers_B"] = gather_object([None if key in (None, NO_ANSWER) else str(key) for key in keys])
    if plan.embedding is not None:
        found["embeddings_B"] = gather_object(list(read_vectors(plan.embedding, texts)))
    return BatchFeatures(**found)


def describe_groups(
    batch: BatchFeatures,
    plan: Plan,
    num_generations: int,
    labels_B: list[Any] | None,
    place: tuple[int, int],
) -> GroupContext:
    """Return what is known of a whole batch beside its rewards, by groups; the same on every rank.

    Args:
        batch: what was read.
        plan: says what to compare by.
        num_generations: completions of a prompt.
        labels_B: classes that a group reward gave, for runs that name no partition.
        place: this rank, and the number of ranks.
    """
    labels_PG, equivalent_PGG = None, None
    if plan.partition is not None and batch.features_B is not None:
        groups = split_groups(batch.features_B, num_generations)
        labels_PG, equivalent_PGG = _compare(plan.partition, groups, "equivalent_PGG" in plan.needs, *place)
    elif labels_B is not None:
        groups = split_groups(labels_B, num_generations)
        labels_PG = torch.as_tensor(np.stack([label_by_first_seen(labels_G) for labels_G in groups]))
    answers_PG = None
    if batch.answers_B is not None:
        answers = split_groups(batch.answers_B, num_generations)
        answers_PG = torch.as_tensor(np.stack([label_answers(answers_G) for answers_G in answers]))
    embeddings = batch.embeddings_B
    return GroupContext(
        labels_PG=labels_PG,
        equivalent_PGG=equivalent_PGG,
        answers_PG=answers_PG,
        embeddings_PGE=None if embeddings is None else stack_embeddings(embeddings, num_generations),
        lengths_PG=torch.tensor(batch.lengths_B).unflatten(0, (-1, num_generations)),
    )


def identify_prompt(row: dict[str, Any]) -> str:
    """Return the row's `id`, or a digest of its prompt where it has none; of the whole row where that has none either.

    An environment may own the data, so that its rows have no prompt; and a prompt may hold pictures.
    """
    if row.get("id") is not None:
        return str(row["id"])
    text = json.dumps(row.get("prompt", row), sort_keys=True, default=_digest, skipkeys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _digest(thing: Any) -> str:
    """Return what stands for something that JSON cannot hold: the same for the same content, in every process."""
    if isinstance(thing, bytes):
        data = thing
    elif callable(getattr(thing, "tobytes", None)):
        # Pictures, arrays and tensors of NumPy: their size is part of what they are.
        data = repr((getattr(thing, "size", None), getattr(thing, "mode", None))).encode() + thing.tobytes()
    elif isinstance(thing, set | frozenset):
        data = repr(sorted(map(repr, thing))).encode()
    else:
        # Most things say in their text what they hold; an address in it says nothing.
        data = re.sub(r" at 0x[0-9a-f]+", "", f"{type(thing).__qualname__} {thing!r}").encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()


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


def _compare(
    partition: Any, groups: list[list[Any]], wants_pairs: bool, rank: int, world_size: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    def judge(features_G: list[Any]) -> tuple[np.ndarray, np.ndarray | None]:
        if wants_pairs and isinstance(partition, PairwisePartition):
            # Judged once: a pair may cost a model's forward pass.
            judged_GG = judge_pairs(partition, features_G)
            return close_pairs(judged_GG, partition.closure), judged_GG
        pairs_GG = judge_pairs(partition, features_G) if wants_pairs else None
        return label_group(partition, features_G), pairs_GG

    judged = share_out(judge, groups, rank, world_size)
    labels_PG = torch.as_tensor(np.stack([labels_G for labels_G, _ in judged]))
    pairs = [pairs_GG for _, pairs_GG in judged if pairs_GG is not None]
    return labels_PG, torch.as_tensor(np.stack(pairs)).double() if pairs else None
