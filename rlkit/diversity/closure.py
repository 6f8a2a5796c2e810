"""From pairwise judgements to classes: how, and what one wrong judgement costs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_count, check_number, name_in_recipes

CLOSURES = ("union_find", "complete_linkage")
"""How pairwise judgements become classes; see `close_pairs`."""


def label_by_first_seen(keys_G: Sequence[Hashable]) -> np.ndarray:
    """Number keys in order of first appearance: `["b", "a", "b"]` gives `[0, 1, 0]`."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys_G], dtype=np.int64)


def close_pairs(equivalent_GG: np.ndarray, closure: str = "union_find") -> np.ndarray:
    """Return the classes, integers of shape (G,) in first-seen order, that pairwise judgements amount to.

    Args:
        equivalent_GG: symmetric, True where two completions were judged the same; the diagonal is not looked at.
        closure: `union_find`: whatever is linked by a chain of such pairs is one class, so that one false link merges
            two classes whole (DARLING, arXiv 2509.02534). `complete_linkage`: in order of appearance, each joins the
            first class with all of whose members it was judged the same, else it opens one; a false link alone merges
            nothing, but a missed one splits, and the outcome depends on the order.

    Raises:
        ConfigError: the matrix is not square or not symmetric, or there is no such closure.
    """
    check_choice("close_pairs", "closure", closure, CLOSURES)
    equivalent_GG = np.asarray(equivalent_GG, dtype=bool)
    if equivalent_GG.ndim != 2 or not np.array_equal(equivalent_GG, equivalent_GG.T):
        raise ConfigError(
            f"Judgements of shape {equivalent_GG.shape} were given; write a symmetric matrix, one row a completion."
        )
    if closure == "complete_linkage":
        return np.array(_link_cliques(equivalent_GG), dtype=np.int64)
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(equivalent_GG, directed=False)
    return label_by_first_seen(labels.tolist())


def _link_cliques(equivalent_GG: np.ndarray) -> list[int]:
    classes: list[list[int]] = []
    labels: list[int] = []
    for row_G in equivalent_GG:
        fitting = (number for number, members in enumerate(classes) if row_G[members].all())
        number = next(fitting, len(classes))
        if number == len(classes):
            classes.append([])
        classes[number].append(len(labels))
        labels.append(number)
    return labels


def false_merge_chance(pair_false_positive_rate: float, group_size: int) -> float:
    """Return the chance that union-find merges anything among `group_size` answers that are all different.

    With each of the G (G - 1) / 2 pairs judged wrongly with the same chance f, independently, it is
    1 - (1 - f) ** (G (G - 1) / 2): 0.245, 0.762 and 0.962 at G = 8 for rates of 1, 5 and 11 %. 0 for a single answer.

    Raises:
        ConfigError: the rate is not in [0, 1], or the size is not a whole number of at least 1.
    """
    check_number("false_merge_chance", "pair_false_positive_rate", pair_false_positive_rate, at_least=0, at_most=1)
    check_count("false_merge_chance", "group_size", group_size)
    return 1.0 - (1.0 - pair_false_positive_rate) ** (group_size * (group_size - 1) / 2)


@dataclass(frozen=True, kw_only=True)
class PairwisePartition:
    """A partition whose own judgement is of pairs: subclasses give `features` and `equivalent`, this the classes.

    Raises:
        ConfigError: there is no such closure.
    """

    closure: str = "union_find"
    """`union_find` or `complete_linkage`; see `close_pairs`."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        check_choice(name_in_recipes(self), "closure", self.closure, CLOSURES)

    def equivalent(self, features_G: Sequence[Any]) -> np.ndarray:
        """Return the pairwise judgement before closure: bool of shape (G, G), symmetric, the diagonal True."""
        raise NotImplementedError

    def labels(self, features_G: Sequence[Any]) -> np.ndarray:
        """Return integer labels of shape (G,), numbered in the order in which classes first appear."""
        return close_pairs(self.equivalent(features_G), self.closure)
