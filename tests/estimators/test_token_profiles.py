"""Aggregates of token values against plain loops, with lengths that differ, empty completions and no tokens at all."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators.token_profiles import position_means, sequence_mean, share_above, token_mean, token_quantiles

PROFILES = [[1.0, 0.5, 0.1], [0.8, 0.2]]


def test_golden_means_over_tokens_and_over_sequences() -> None:
    assert math.exp(token_mean(PROFILES)) == pytest.approx(1.6820276499, abs=1e-9)
    assert math.exp(sequence_mean(PROFILES)) == pytest.approx(1.6764302251, abs=1e-9)


def test_means_agree_where_lengths_do_and_ignore_empty_completions() -> None:
    equal = [[1.0, 2.0], [3.0, 5.0]]
    assert token_mean(equal) == pytest.approx(sequence_mean(equal))
    assert sequence_mean([*PROFILES, []]) == pytest.approx(sequence_mean(PROFILES))
    assert math.isnan(token_mean([]))
    assert math.isnan(sequence_mean([[], []]))


def test_forking_tokens_are_those_above_the_threshold() -> None:
    assert share_above([[0.5, 1.0, 1.5], [3.0]]) == 0.5
    assert share_above(PROFILES, 0.15) == 0.8
    assert math.isnan(share_above([]))


def test_quantiles_are_over_all_tokens() -> None:
    np.testing.assert_allclose(token_quantiles(PROFILES, [0.0, 0.5, 1.0]), [0.1, 0.5, 1.0])
    assert np.isnan(token_quantiles([], [0.5])).all()


def test_position_buckets_equal_a_loop() -> None:
    rng = np.random.default_rng(0)
    profiles = [rng.random(length) for length in (0, 1, 5, 9, 9, 20)]
    edges = [0, 2, 6, 12, 40, 60]
    means, counts = position_means(profiles, edges)
    for bucket, (start, end) in enumerate(pairwise(edges)):
        values = [value for profile in profiles for at, value in enumerate(profile) if start <= at < end]
        assert counts[bucket] == len(values)
        if values:
            assert means[bucket] == pytest.approx(sum(values) / len(values))
    assert np.isnan(means[-1])


def test_tokens_outside_the_edges_are_in_no_bucket() -> None:
    means, counts = position_means([[9.0, 1.0, 2.0, 9.0]], [1, 3])
    assert (means.tolist(), counts.tolist()) == ([1.5], [2])
    for edges in ([0], [0, 0], [4, 2]):
        with pytest.raises(ConfigError, match="make no buckets"):
            position_means(PROFILES, edges)
