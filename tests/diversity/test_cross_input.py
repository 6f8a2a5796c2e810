"""Diversity across prompts: one answer each, averaged over draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.diversity.cosine import mean_cosine_distance
from rlkit.diversity.cross_input import measure_across_prompts
from rlkit.diversity.lexical import distinct_n
from rlkit.errors import ConfigError


def test_a_style_shared_by_all_prompts_shows_across_and_not_within():
    # Every prompt has varied answers, but the same ones.
    prompts = [["one way", "another path"]] * 4
    assert np.mean([distinct_n(texts, 1) for texts in prompts]) == 1.0
    assert measure_across_prompts(prompts, lambda texts: distinct_n(texts, 1)) == pytest.approx(0.25)


def test_draws_are_averaged_as_far_as_all_prompts_have_samples():
    prompts = [["a", "b", "c"], ["a", "x"], []]
    assert measure_across_prompts(prompts, lambda texts: distinct_n(texts, 1)) == pytest.approx((0.5 + 1) / 2)
    assert measure_across_prompts(prompts, lambda texts: distinct_n(texts, 1), num_draws=1) == 0.5


def test_rows_of_embeddings_are_items_too():
    rng = np.random.default_rng(0)
    prompts = list(rng.normal(size=(5, 3, 4)))
    expected = np.mean([mean_cosine_distance(np.stack([rows[draw] for rows in prompts])) for draw in range(3)])
    assert measure_across_prompts(prompts, lambda rows: mean_cosine_distance(np.stack(rows))) == pytest.approx(expected)


def test_fewer_than_two_prompts_or_nothing_measured_are_undefined():
    assert math.isnan(measure_across_prompts([], len))
    assert math.isnan(measure_across_prompts([["a"], []], len))
    assert math.isnan(measure_across_prompts([[""], [""]], lambda texts: distinct_n(texts, 1)))
    with pytest.raises(ConfigError, match="num_draws=0"):
        measure_across_prompts([["a"], ["b"]], len, num_draws=0)
