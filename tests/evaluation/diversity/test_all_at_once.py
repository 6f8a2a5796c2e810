"""Many blocks measured at once are the blocks measured one by one, by the definitions that stand elsewhere."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from rlkit.diversity import HashedNgrams
from rlkit.diversity.bleu import self_bleu
from rlkit.diversity.compression import compression_ratio
from rlkit.diversity.cosine import mean_cosine_distance, place_on_sphere
from rlkit.diversity.lexical import distinct_n, expectation_adjusted_distinct
from rlkit.diversity.meanings import semantic_entropy
from rlkit.diversity.vendi import vendi_score
from rlkit.estimators import hill_number
from rlkit.evaluation.diversity.classes import measure_blocks
from rlkit.evaluation.diversity.texts import TextTable

WORDS = [
    "add",
    "take",
    "split",
    "first",
    "then",
    "both",
    "half",
    "of",
    "the",
    "three",
    "five",
    "eight",
    "Größe",
    "数学",
]


def write_text(number: int) -> str:
    draws = random.Random(number)
    return " ".join(draws.choices(WORDS, k=draws.choice([0, 1, 3, 12, 40])))


def mean_of(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def slowly(texts: list[str]) -> dict[str, float]:
    """Return what `TextTable.measure` should, block by block."""
    values = {}
    for size in (4, 16):
        blocks = [texts[start : start + size] for start in range(0, len(texts) - size + 1, size)]
        vectors = [HashedNgrams().embed(block) for block in blocks]
        values[f"distinct_2_at_{size}"] = mean_of([distinct_n(block, 2) for block in blocks])
        values[f"ead_at_{size}"] = mean_of([expectation_adjusted_distinct(block) for block in blocks])
        for order in (1, 2):
            values[f"vendi_{order}_h_at_{size}"] = mean_of([vendi_score(rows, order) for rows in vectors])
    values["compression_at_16"] = mean_of([compression_ratio(block) for block in blocks])
    written = [text for text in texts if text.strip()][:4]
    values["self_bleu_at_4"] = self_bleu(written) if len(written) == 4 else math.nan
    return values | {"sbert_distance_h": mean_cosine_distance(HashedNgrams().embed(texts))}


def test_texts_of_several_sets_are_those_of_each_alone() -> None:
    texts = [write_text(number) for number in range(37)] + ["add then " * 300] * 16
    sets = [[*range(53)], [3, 1, 4, 15, 9, 2, 6], [*range(16, 50)], [7], []]
    unit_NE = place_on_sphere(HashedNgrams().embed(texts))
    table = TextTable.build(texts, {"h": unit_NE})
    found = table.measure([np.array(each, dtype=np.int64) for each in sets], 50_257, True)
    for chosen, values in zip(sets, found, strict=True):
        expected = slowly([texts[at] for at in chosen]) if chosen else dict.fromkeys(values, math.nan)
        assert values == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert sum(not math.isnan(value) for value in found[0].values()) == len(found[0])


@pytest.mark.parametrize("seed", range(5))
def test_classes_of_all_blocks_are_those_of_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels_BK, logps_BK = rng.integers(0, 1 + 3 * seed, (7, 16)), -rng.exponential(2.0, (7, 16))
    logps_BK[1, 2], logps_BK[2], logps_BK[3, 4] = np.nan, -np.inf, -np.inf
    found = measure_blocks(labels_BK, logps_BK)
    for at, (labels_K, logps_K) in enumerate(zip(labels_BK, logps_BK, strict=True)):
        counts = np.bincount(labels_K)
        values = [hill_number(counts, 1), hill_number(counts, 2), semantic_entropy(labels_K, logps_K)]
        assert [column[at] for column in found.values()] == pytest.approx(values, rel=1e-12, abs=1e-12, nan_ok=True)
