"""Reward without labels: 1 for the answer that most of the group gives, 0 for the others (TTRL).

    rewards: [majority_vote]

Known failure: it pays for agreement, so a group that agrees on a wrong answer is told that it is right, and diversity
goes. Set a diversity-preserving chain beside it, and watch `diversity/distinct`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

import rlkit
from rlkit.advantages.majority import match_majority
from rlkit.diversity import NO_ANSWER, label_by_first_seen, read_features, resolve_partition
from rlkit.types import Completion, completion_text

CASES = [
    ({"completions": [r"\boxed{4}", r"\boxed{4}", r"\boxed{5}", "?"]}, [1.0, 1.0, 0.0, 0.0]),
    ({"completions": [r"\boxed{5}", r"\boxed{4}"]}, [None, None]),
    ({"completions": [r"\boxed{5}", r"\boxed{4}", r"\boxed{4}", r"\boxed{5}"]}, [None] * 4),
    ({"completions": ["?", ""]}, [None, None]),
]
"""What it must say of each group."""


@rlkit.group_reward
def majority_vote(
    completions: Sequence[Completion], *, answers: str | dict[str, Any] = "final_answer"
) -> list[float | None]:
    """Return 1.0 where the answer is the most frequent one of the group, else 0.0.

    Args:
        completions: a group.
        answers: the partition that reads the answers, as in a recipe.

    Returns:
        None for all where no completion has an answer, or two answers lead: there is no majority.

    Source: TTRL, arXiv 2504.16084. The transform `match_majority` of `rlkit.advantages` takes the first of
    equal leaders, as released code does, and so depends on the order of samples; this does not.
    """
    keys = read_features(resolve_partition(answers), [completion_text(completion) for completion in completions])
    has_answer = [key not in (None, NO_ANSWER) for key in keys]
    labels = iter(label_by_first_seen([key for key, has in zip(keys, has_answer, strict=True) if has]))
    answers_1G = torch.tensor([[int(next(labels)) if has else -1 for has in has_answer]])
    matches_1G, has_vote_11 = match_majority(answers_1G)
    # Of equal leaders the first wins: one that still wins when its rows come last leads alone.
    losers_first_G = matches_1G[0].argsort(stable=True)
    again_1G, _ = match_majority(answers_1G[:, losers_first_G])
    leads_alone = has_vote_11.item() and torch.equal(again_1G, matches_1G[:, losers_first_G])
    return [float(match) if leads_alone else None for match in matches_1G[0]]
