"""Bootstrap and sign flips against enumeration and textbook standard errors."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators import bootstrap_means, sign_flip_test


def test_spread_of_bootstrap_means_is_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=(300, 2))
    means = bootstrap_means(values, num_resamples=20_000, seed=1)
    np.testing.assert_allclose(means.mean(axis=0), values.mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(means.std(axis=0), values.std(axis=0) / np.sqrt(300), rtol=0.02)


def test_columns_share_their_resamples() -> None:
    column = np.random.default_rng(0).normal(size=60)
    means = bootstrap_means(np.stack([column, 2 * column + 1], axis=1), seed=3)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0] + 1)
    np.testing.assert_array_equal(means, bootstrap_means(np.stack([column, 2 * column + 1], axis=1), seed=3))


def test_undefined_rows_are_left_out_of_their_column_alone() -> None:
    values = np.array([[1.0, 5.0], [2.0, np.nan], [3.0, np.nan]])
    means = bootstrap_means(values, num_resamples=500)
    assert not np.isnan(means[:, 0]).any()
    assert np.isnan(means[:, 1]).mean() == pytest.approx((2 / 3) ** 3, abs=0.08)
    assert np.nanmin(means[:, 1]) == 5.0 == np.nanmax(means[:, 1])


def test_merged_rows_resample_as_separate_ones() -> None:
    separate = bootstrap_means(np.repeat([0.0, 1.0], [30, 70]), num_resamples=20_000)
    merged = bootstrap_means([0.0, 1.0], num_resamples=20_000, multiplicity_M=[30, 70])
    assert merged.std() == pytest.approx(separate.std(), rel=0.03)
    assert merged.mean() == pytest.approx(0.7, abs=2e-3)


def test_chunks_do_not_depend_on_memory_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(20, 3))
    whole = bootstrap_means(values, 100), sign_flip_test(values, 100).p_values_K
    monkeypatch.setattr("rlkit.estimators.resampling._CHUNK_ENTRIES", 60)
    np.testing.assert_allclose(bootstrap_means(values, 100), whole[0])
    np.testing.assert_allclose(sign_flip_test(values, 100).p_values_K, whole[1])


def test_few_problems_are_enumerated_exactly() -> None:
    differences = np.array([0.5, -0.25, 1.0, 0.75, 0.25])
    sums = [abs(np.dot(signs, differences)) for signs in product([-1, 1], repeat=5)]
    expected = np.mean([value >= differences.sum() - 1e-12 for value in sums])
    assert sign_flip_test(differences).p_values_K[0] == expected


def test_p_values_of_true_nulls_are_uniform() -> None:
    rng = np.random.default_rng(5)
    p_values = sign_flip_test(rng.normal(size=(40, 400)), num_flips=2000).p_values_K
    for level in (0.05, 0.2, 0.5):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * np.sqrt(level / 400))


def test_a_clear_difference_is_found_and_none_is_not() -> None:
    rng = np.random.default_rng(6)
    differences = np.stack([rng.normal(0.5, 1.0, 200), np.zeros(200), np.full(200, np.nan)], axis=1)
    p_values = sign_flip_test(differences, num_flips=2000).p_values_K
    assert p_values[0] < 0.005
    assert p_values[1] == 1.0
    assert np.isnan(p_values[2])


def test_no_problems_and_wrong_shapes() -> None:
    assert np.isnan(bootstrap_means(np.empty((0, 2)))).all()
    with pytest.raises(ConfigError, match="one row a problem"):
        bootstrap_means(np.zeros((2, 2, 2)))
