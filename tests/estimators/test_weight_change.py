"""Sparsity and rank of updates: laws, the trap of bfloat16, low-rank updates."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.estimators.weight_change import ChangeCounts, change_rank


def counted(change: torch.Tensor, weight: torch.Tensor) -> ChangeCounts:
    counts = ChangeCounts()
    counts.add(change, weight)
    return counts


def test_identical_weights_are_wholly_sparse() -> None:
    weight = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    counts = counted(weight - weight, weight)
    assert set(counts.sparsity.values()) == {1.0}
    assert counts.relative_change == 0.0
    assert math.isnan(change_rank(weight - weight).stable_rank)
    assert change_rank(weight - weight).numerical_rank == 0


def test_shares_by_tolerance_and_chunks_add_up() -> None:
    change = torch.tensor([0.0, -5e-9, 5e-7, -5e-6, 5e-5, 1.0])
    weight = torch.full((6,), 2.0)
    whole = counted(change, weight)
    assert list(whole.sparsity.values()) == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert whole.largest_change == 1.0
    assert whole.relative_change == pytest.approx(math.sqrt(1.0 / 24.0), rel=1e-6)
    both = counted(change[:2], weight[:2]) + counted(change[2:], weight[2:])
    assert both == whole
    assert math.isnan(ChangeCounts().sparsity[0.0])
    with pytest.raises(ConfigError, match="is not one of weights"):
        counted(change, weight[:3])


def test_rounding_to_bfloat16_makes_a_dense_update_look_sparse() -> None:
    generator = torch.Generator().manual_seed(0)
    before = (0.02 * torch.randn(1000, 1000, generator=generator)).bfloat16().float()
    after = before + 3e-6 * torch.randn(1000, 1000, generator=generator)
    assert counted(after - before, before).sparsity[0.0] < 0.01
    rounded = after.bfloat16().float() - before
    saved = counted(rounded, before)
    # 96.5 % bit-identical, 99.91 % within 1e-5, and yet of nearly full rank.
    assert saved.sparsity[0.0] == pytest.approx(0.965, abs=1e-3)
    assert saved.sparsity[1e-5] == pytest.approx(0.9991, abs=1e-4)
    assert change_rank(rounded).numerical_rank >= 999


@pytest.mark.parametrize("rank", [1, 3])
def test_a_low_rank_update_has_at_most_that_rank(rank: int) -> None:
    generator = torch.Generator().manual_seed(rank)
    found = change_rank(torch.randn(40, rank, generator=generator) @ torch.randn(rank, 30, generator=generator))
    assert found.numerical_rank == rank
    assert 1.0 <= found.stable_rank <= rank + 1e-5
    assert found.stable_rank <= found.effective_rank <= rank + 1e-3


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (1, 9)])
def test_ranks_are_those_of_the_singular_values(shape: tuple[int, int]) -> None:
    change = 1e-6 * torch.randn(shape, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(change.double())
    shares = values / values.sum()
    found = change_rank(change)
    assert found.stable_rank == pytest.approx(float(values.square().sum() / values[0] ** 2))
    assert found.effective_rank == pytest.approx(float((-(shares * shares.log()).sum()).exp()))
    assert found.numerical_rank == torch.linalg.matrix_rank(change)


def test_an_isometry_has_full_rank_in_every_sense() -> None:
    found = change_rank(2.5 * torch.eye(6))
    assert found.stable_rank == pytest.approx(6.0)
    assert found.effective_rank == pytest.approx(6.0)
    assert found.numerical_rank == 6
    with pytest.raises(ConfigError, match="of a matrix"):
        change_rank(torch.zeros(3))
