"""How far a completion's meaning lies from its siblings': one minus its similarity to them (EVOL-RL's novelty).

    rewards: [countdown, {name: embedding_novelty, embedding: {name: sentence_embedding, model: my/encoder}}]
    reward_weights: [1.0, 0.1]

Added to a verifier it also pays wrong answers for being odd; keep its weight small, or write the chain `advantage:
evol_rl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

import rlkit
from rlkit.advantages.novelty import measure_novelty
from rlkit.diversity import read_vectors, resolve_embedding
from rlkit.types import Completion, completion_text

CASES = [
    ({"completions": ["same text", "same text"]}, [0.0, 0.0]),
    ({"completions": ["abcdef", "abcdef", ""]}, [0.0, 0.0, None]),
    ({"completions": ["alone"]}, [None]),
]
"""What it must say of each group."""


@rlkit.group_reward
def embedding_novelty(
    completions: Sequence[Completion], *, embedding: str | dict[str, Any] = "hashed_ngrams", alpha: float = 0.5
) -> list[float | None]:
    """Return 1 - (alpha s_i + (1 - alpha) m_i), s_i the mean and m_i the largest cosine to the siblings; range [0, 1].

    Args:
        completions: a group.
        embedding: how texts become vectors, as in a recipe; `hashed_ngrams` sees spelling, not meaning.
        alpha: weight of the mean against the largest.

    Returns:
        None where a text has no vector, or no sibling has one.

    Source: EVOL-RL, arXiv 2509.15194, without its bands; `rlkit.advantages` has them as `novelty_bands`.
    """
    texts = [completion_text(completion) for completion in completions]
    vectors_1GE = torch.as_tensor(read_vectors(resolve_embedding(embedding), texts)).double()[None]
    valid_1G = vectors_1GE.isfinite().all(dim=2) & vectors_1GE.ne(0).any(dim=2)
    everyone_1G = torch.ones_like(valid_1G)
    novelty_1G = measure_novelty(vectors_1GE, everyone_1G, valid_1G, alpha)
    has_sibling = int(valid_1G.sum()) > 1
    return [
        max(0.0, u) if valid and has_sibling else None
        for u, valid in zip(novelty_1G[0].tolist(), valid_1G[0].tolist(), strict=True)
    ]
