"""The diversity of the rollouts at hand, cheap enough for every training step."""

from __future__ import annotations

import numpy as np


def summarise_groups(labels_PG: np.ndarray, correct_PG: np.ndarray, scored_PG: np.ndarray) -> dict[str, float]:
    """Return scalar series that show whether groups are narrowing.

    Args:
        labels_PG: class of each completion, integers.
        correct_PG: 1 correct, 0 wrong, NaN unknown.
        scored_PG: True where a completion was scored; the others are left out of every count.

    Returns:
        `distinct` and `distinct_correct`: mean number of classes a group, over all and over correct completions
        (depends on G: compare at equal G only). `simpson_correct`: chance that two different correct completions of a
        prompt are of different classes, mean over the groups with at least two, NaN when there is none. `pass_at_g`:
        share of groups with a correct completion. `groups_all_correct`, `groups_all_wrong`: shares of groups without
        signal for group baselines. Groups without any scored completion are left out; with no group left every value
        is NaN.
    """
    correct_PG = (correct_PG > 0.5) & scored_PG
    rows = [
        _summarise_group(labels_G, correct_G, scored_G)
        for labels_G, correct_G, scored_G in zip(labels_PG, correct_PG, scored_PG, strict=True)
        if scored_G.any()
    ]
    names = ("distinct", "distinct_correct", "simpson_correct", "pass_at_g", "groups_all_correct", "groups_all_wrong")
    if not rows:
        return dict.fromkeys(names, float("nan"))
    table = np.array(rows, dtype=np.float64)
    defined = ~np.isnan(table)
    totals = np.where(defined, table, 0.0).sum(axis=0)
    counts = defined.sum(axis=0)
    means = np.divide(totals, counts, out=np.full(len(names), np.nan), where=counts > 0)
    return dict(zip(names, means.tolist(), strict=True))


def _summarise_group(labels_G: np.ndarray, correct_G: np.ndarray, scored_G: np.ndarray) -> tuple[float, ...]:
    _, sizes_C = np.unique(labels_G[correct_G], return_counts=True)
    num_correct = int(correct_G.sum())
    pairs = num_correct * (num_correct - 1)
    simpson = 1 - (sizes_C * (sizes_C - 1)).sum() / pairs if pairs else np.nan
    num_distinct = len(np.unique(labels_G[scored_G]))
    all_correct = num_correct == int(scored_G.sum())
    return num_distinct, len(sizes_C), simpson, num_correct > 0, all_correct, num_correct == 0
