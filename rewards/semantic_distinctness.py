"""How unlike its siblings a completion is: the share of the group that is not the same (DARLING's diversity).

    rewards: [countdown, {name: semantic_distinctness, partition: canonical_expression}]
    reward_weights: [1.0, 0.2]

As a reward of its own it is *added*, and pays wrong answers for being different as well. DARLING multiplies the reward
by it: that is the chain `advantage: darling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

import rlkit
from rlkit.advantages import GroupContext, MultiplyByDistinctness
from rlkit.diversity import label_group, read_features, resolve_partition
from rlkit.types import Completion, completion_text

CASES = [
    ({"completions": ["a", "a", "b", "c"], "partition": "normalised_text"}, [2 / 3, 2 / 3, 1.0, 1.0]),
    ({"completions": ["a", "a"], "partition": "normalised_text", "floor": 0.1}, [0.1, 0.1]),
    ({"completions": ["a"], "partition": "normalised_text"}, [None]),
]
"""What it must say of each group."""


@rlkit.group_reward
def semantic_distinctness(
    completions: Sequence[Completion],
    *,
    partition: str | dict[str, Any] = "final_answer",
    floor: float = 0.0,
    **columns: Any,
) -> list[float | None]:
    """Return (n - s_i) / (n - 1) for each of n completions, s_i of which are in its class; range [floor, 1].

    Args:
        completions: a group.
        partition: what counts as the same, as in a recipe.
        floor: smallest value; the released code has 0.1.
        columns: data columns that the partition may ask for.

    Returns:
        None for a group of one: it has no siblings.

    Source: DARLING, arXiv 2509.02534, equation 4.
    """
    splitter, texts = resolve_partition(partition), [completion_text(completion) for completion in completions]
    features = read_features(splitter, texts, **{key: [value] * len(texts) for key, value in columns.items()})
    labels_1G = torch.as_tensor(label_group(splitter, features))[None]
    ones_1G = torch.ones(labels_1G.shape, dtype=torch.float64)
    shares_1G = MultiplyByDistinctness(floor=floor)(ones_1G, GroupContext(labels_PG=labels_1G))
    return [None if share != share else share for share in shares_1G[0].tolist()]
