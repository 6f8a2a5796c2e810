"""Diversity across prompts: one answer to each, compared with each other; shows a style that is the same everywhere.

Kirk et al. 2024, arXiv 2310.06452, section 4: RLHF lowers diversity per prompt most, and across prompts as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from rlkit.parameters import check_count

Item = TypeVar("Item")


def measure_across_prompts(
    items_P: Sequence[Sequence[Item]], measure: Callable[[Sequence[Item]], float], num_draws: int = 8
) -> float:
    """Return a measure of diversity of one item a prompt, averaged over draws.

    Draw d takes the d-th item of every prompt, so no item is used twice, and the same prompts and numbers give the
    same value. Most measures depend on the number of prompts: compare on the same ones.

    Args:
        items_P: for each prompt its samples (texts, tokens, rows of an embedding), in sampling order.
        measure: takes one item a prompt; NaN where it is undefined.
        num_draws: at most so many, as far as every prompt that has samples has one.

    Returns:
        Mean over the draws that are defined; NaN where none is, and below two prompts with samples.

    Raises:
        ConfigError: `num_draws` is not a whole number of at least 1.
    """
    check_count("measure_across_prompts", "num_draws", num_draws)
    sampled = [items for items in items_P if len(items)]
    if len(sampled) < 2:
        return math.nan
    depth = min(num_draws, *(len(items) for items in sampled))
    values = np.array([measure([items[draw] for items in sampled]) for draw in range(depth)], dtype=np.float64)
    return float(np.nanmean(values)) if not np.isnan(values).all() else math.nan
