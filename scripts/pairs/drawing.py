"""Choose pairs among the completions of one problem."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from rlkit.verifiers import solution_key

LabelledPair = tuple[str, str, bool]
"""Two different texts, and whether they have one canonical form."""

_HARD_SHARE = 0.5
"""Share of the different pairs that are the likest ones, by shared words, rather than random ones."""


def draw_natural(texts: Sequence[str], num_pairs: int, generator: random.Random) -> list[LabelledPair]:
    """Return random pairs of samples as they come; pairs of equal texts, which nobody needs to judge, are left out."""
    pairs = [(a, b) for a, b in itertools.combinations(texts, 2) if a != b]
    chosen = generator.sample(pairs, min(num_pairs, len(pairs)))
    return [(a, b, solution_key(a) == solution_key(b)) for a, b in chosen]


def draw_balanced(texts: Sequence[str], num_pairs: int, generator: random.Random) -> list[LabelledPair]:
    """Return up to `num_pairs` pairs, half of them the same, half different, and of these half as alike as can be."""
    texts_of = defaultdict(list)
    for text in dict.fromkeys(texts):
        texts_of[solution_key(text)].append(text)
    same = [pair for group in texts_of.values() for pair in itertools.combinations(group, 2)]
    different = [pair for groups in itertools.combinations(texts_of.values(), 2) for pair in itertools.product(*groups)]
    size = min(num_pairs // 2, len(same), len(different))
    drawn = [(*pair, True) for pair in generator.sample(same, size)]
    drawn += [(*pair, False) for pair in _draw_different(different, size, generator)]
    # Whichever was met first must tell nothing of the label.
    turned = [(b, a, is_same) if generator.random() < 0.5 else (a, b, is_same) for a, b, is_same in drawn]
    generator.shuffle(turned)
    return turned


def _draw_different(pairs: list[tuple[str, str]], size: int, generator: random.Random) -> list[tuple[str, str]]:
    generator.shuffle(pairs)
    by_likeness = sorted(pairs, key=lambda pair: count_shared_words(*pair), reverse=True)
    num_hard = round(size * _HARD_SHARE)
    return by_likeness[:num_hard] + generator.sample(by_likeness[num_hard:], size - num_hard)


def count_shared_words(a: str, b: str) -> int:
    """Return how many words two texts share, each as often as in both."""
    return sum((Counter(a.split()) & Counter(b.split())).values())
