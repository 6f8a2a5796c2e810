"""From what was read off a generation batch to the context that the advantage chain is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rlkit.advantages import GroupContext
from rlkit.diversity import PairwisePartition, close_pairs, judge_pairs, label_by_first_seen, label_group
from rlkit.trainers.facts import Readings, label_answers, share_out, split_groups, stack_embeddings


def describe_groups(
    readings: Readings,
    num_generations: int,
    correct_index: int,
    correct_above: float,
    partition: Any,
    needs: frozenset[str],
    rank: int,
    world_size: int,
) -> GroupContext:
    """Reshape what is known of a whole batch to groups; the same on every rank, all of which must call it."""
    rewards_PGK = readings.rewards_BK.detach().to(device="cpu", dtype=torch.float64).unflatten(0, (-1, num_generations))
    verdicts_PG = rewards_PGK[:, :, correct_index]
    correct_PG = (verdicts_PG > correct_above).double().masked_fill(verdicts_PG.isnan(), torch.nan)
    labels_PG, equivalent_PGG = None, None
    if partition is not None and readings.features_B is not None:
        groups = split_groups(readings.features_B, num_generations)
        labels_PG, equivalent_PGG = _compare(partition, groups, "equivalent_PGG" in needs, rank, world_size)
    elif readings.labels_B is not None:
        groups = split_groups(readings.labels_B, num_generations)
        labels_PG = torch.as_tensor(np.stack([label_by_first_seen(labels_G) for labels_G in groups]))
    answers_PG = None
    if readings.answers_B is not None:
        answers = split_groups(readings.answers_B, num_generations)
        answers_PG = torch.as_tensor(np.stack([label_answers(answers_G) for answers_G in answers]))
    embeddings = readings.embeddings_B
    return GroupContext(
        rewards_PGK=rewards_PGK,
        correct_PG=correct_PG,
        scored_PG=~rewards_PGK.isnan().all(dim=2),
        labels_PG=labels_PG,
        equivalent_PGG=equivalent_PGG,
        answers_PG=answers_PG,
        embeddings_PGE=None if embeddings is None else stack_embeddings(embeddings, num_generations),
        lengths_PG=torch.tensor(readings.lengths_B).unflatten(0, (-1, num_generations)),
    )


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
