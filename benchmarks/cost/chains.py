"""The advantage chains alone, on groups made up for the purpose."""

from __future__ import annotations

import statistics
import time

import torch

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.presets import PRESETS

PROMPT_TOKENS, TOKENS, EMBEDDING = 64, 128, 384


def time_chains(num_prompts: int, num_generations: int, repeats: int) -> dict[str, dict[str, float]]:
    """Return `median`, `fastest` and `slowest` microseconds of one call of every preset with its defaults."""
    context = make_groups(num_prompts, num_generations)
    values_PG = context.rewards_PGK[:, :, 0]
    return {name: _time_chain(name, values_PG, context, repeats) for name in PRESETS}


def make_groups(num_prompts: int, num_generations: int, seed: int = 0) -> GroupContext:
    """Return groups of which everything is known that any chain may ask for."""
    generator = torch.Generator().manual_seed(seed)
    groups = (num_prompts, num_generations)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    rewards_PGK = (draw(*groups, 1) < 0.4).double()
    return GroupContext(
        rewards_PGK=rewards_PGK,
        correct_PG=rewards_PGK[:, :, 0],
        scored_PG=torch.ones(groups, dtype=torch.bool),
        labels_PG=(6 * draw(*groups)).long(),
        answers_PG=(4 * draw(*groups)).long(),
        answer_counts_PG=(20 * draw(*groups)).floor(),
        embeddings_PGE=draw(*groups, EMBEDDING) - 0.5,
        ref_mean_logps_PG=-draw(*groups),
        lengths_PG=(TOKENS * draw(*groups)).long() + 1,
        logps_PGT=-draw(*groups, TOKENS),
        prompt_logps_PS=-draw(num_prompts, PROMPT_TOKENS),
        step=0,
    )


def _time_chain(name: str, values_PG: torch.Tensor, context: GroupContext, repeats: int) -> dict[str, float]:
    chain = resolve(name)
    chain(values_PG, context)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        chain(values_PG, context)
        taken.append(1e6 * (time.perf_counter() - start))
    return {"median": statistics.median(taken), "fastest": min(taken), "slowest": max(taken)}
