"""Rollouts made up once and given to both trainers: how long, in which groups, and how likely the policy finds them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

LENGTHS = ("spread", "equal")
MEDIAN_SHARE, SIGMA = 0.35, 0.6
"""Of the log-normal `spread`: its median as a share of the longest completion, and the deviation of the logarithm."""


@dataclass(frozen=True)
class Size:
    """How much is learnt from in one generation batch, which is one optimizer step."""

    rows: int
    rows_at_once: int
    num_generations: int
    prompt_tokens: int
    completion_tokens: int
    """Of the longest completion."""


@dataclass(frozen=True)
class Rollouts:
    """One generation batch: tokens and what the sampler says of them, a list a row; one reward a row."""

    prompts: list[list[int]]
    completions: list[list[int]]
    sampled_logps: list[list[float]] | None
    rewards: list[float]

    def without_sampler(self) -> Rollouts:
        """Return the same rollouts from a sampler that told no log-probs."""
        return replace(self, sampled_logps=None)


def draw_lengths(kind: str, size: Size) -> list[int]:
    """Return the tokens of each completion: the quantiles of the distribution, so that two runs hardly differ."""
    if kind == "equal":
        return [size.completion_tokens] * size.rows
    normal, longest = NormalDist(math.log(MEDIAN_SHARE), SIGMA), size.completion_tokens
    shares = [math.exp(normal.inv_cdf((row + 0.5) / size.rows)) for row in range(size.rows)]
    lengths = [min(longest, max(1, round(share * longest))) for share in shares]
    return [*lengths[:-1], longest]


def draw_rollouts(kind: str, size: Size, num_tokens: int, special: set[int], seed: int) -> Rollouts:
    """Return random tokens of a vocabulary, without special ones, in groups that share their prompt."""
    generator = random.Random(f"{kind}/{seed}")
    ordinary = [token for token in range(num_tokens) if token not in special]
    lengths = draw_lengths(kind, size)
    generator.shuffle(lengths)
    prompts = [generator.choices(ordinary, k=size.prompt_tokens) for _ in range(size.rows // size.num_generations)]
    return Rollouts(
        [prompts[row // size.num_generations] for row in range(size.rows)],
        [generator.choices(ordinary, k=length) for length in lengths],
        None,
        [],
    )


def give_rewards(rollouts: Rollouts, zero_share: float, num_generations: int, seed: int) -> Rollouts:
    """Return the rollouts with rewards of 0 and 1, of which a share of the groups is all right or all wrong.

    The advantage of those groups is exactly 0. Which groups they are changes with the seed; in the others every second
    completion is right.
    """
    num_groups = len(rollouts.prompts) // num_generations
    order = random.Random(seed).sample(range(num_groups), num_groups)
    flat = {group: place % 2 for place, group in enumerate(order[: round(zero_share * num_groups)])}
    places = [divmod(row, num_generations) for row in range(len(rollouts.prompts))]
    return replace(rollouts, rewards=[float(flat.get(group, row % 2)) for group, row in places])


def ask_sampler(rollouts: Rollouts, model: Any, seed: int) -> Rollouts:
    """Return the rollouts with the policy's own log-probs plus a little noise, as another engine would give them."""
    import torch

    generator, sampled = random.Random(seed), []
    for prompt, completion in zip(rollouts.prompts, rollouts.completions, strict=True):
        ids = torch.tensor([prompt + completion], device=model.device)
        with torch.no_grad():
            logits_TV = model(ids).logits[0, len(prompt) - 1 : -1].float()
        logps_T = logits_TV.log_softmax(dim=-1).gather(1, ids[0, len(prompt) :, None])[:, 0].tolist()
        sampled.append([logp + generator.gauss(0.0, 0.01) for logp in logps_T])
    return replace(rollouts, sampled_logps=sampled)


def count_without_signal(rollouts: Rollouts, num_generations: int) -> int:
    """Return how many rows lie in groups of equal rewards."""
    rewards = rollouts.rewards
    groups = [rewards[start : start + num_generations] for start in range(0, len(rewards), num_generations)]
    return sum(len(group) for group in groups if len({*group}) == 1)
