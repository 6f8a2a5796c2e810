"""Top-k mass, entropy and entropy bounds: golden numbers, brute force over what the tail can be, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.estimators.top_k_mass import entropy_bounds_from_top_k, in_bits, top_k_of_logps

LOGPS = torch.log_softmax(torch.tensor([2.0, 1.0, 0.0, -1.0], dtype=torch.float64), dim=-1)


def test_golden_top_two() -> None:
    top = top_k_of_logps(LOGPS, k=2)
    assert top.mass.item() == pytest.approx(0.8807970780, abs=1e-9)
    assert top.entropy_renormalised_nats.item() == pytest.approx(0.5822031089, abs=1e-9)
    assert top.entropy_nats.item() == pytest.approx(0.6246006183, abs=1e-9)
    assert in_bits(math.log(8)) == pytest.approx(3.0)


def test_all_tokens_give_the_whole_entropy_and_forbidden_ones_nothing() -> None:
    logps = torch.cat([LOGPS, torch.tensor([-torch.inf], dtype=torch.float64)])
    top = top_k_of_logps(logps[None], k=10)
    assert top.mass.item() == pytest.approx(1.0)
    assert top.entropy_nats.item() == pytest.approx(0.9475369640, abs=1e-9)
    assert top.entropy_renormalised_nats.item() == pytest.approx(0.9475369640, abs=1e-9)
    with pytest.raises(ConfigError, match="at least 1 token"):
        top_k_of_logps(LOGPS, k=0)


@pytest.mark.parametrize("k", [1, 2, 5, 11, 12])
def test_the_entropy_lies_between_the_bounds(k: int) -> None:
    rng = np.random.default_rng(k)
    probabilities = np.sort(rng.dirichlet(np.full(12, 0.3), size=200))[:, ::-1]
    entropies = -np.sum(probabilities * np.log(probabilities), axis=-1)
    with np.errstate(divide="ignore"):
        low, high = entropy_bounds_from_top_k(np.log(probabilities[:, :k]), 12)
    assert (low <= entropies + 1e-12).all()
    assert (entropies <= high + 1e-12).all()
    if k >= 11:
        np.testing.assert_allclose(low, high, atol=1e-9)


def test_both_bounds_are_reached() -> None:
    # Tail of 0.35 under a smallest known of 0.2: fewest tokens are 0.2 and 0.15; spread evenly, 0.35 over three.
    low, high = entropy_bounds_from_top_k(np.log([[0.45, 0.2]]), 5)
    known = -0.45 * math.log(0.45) - 0.2 * math.log(0.2)
    assert low[0] == pytest.approx(known - 0.2 * math.log(0.2) - 0.15 * math.log(0.15))
    assert high[0] == pytest.approx(known - 0.35 * math.log(0.35 / 3))


def test_a_smallest_token_of_no_mass_and_too_small_a_vocabulary() -> None:
    low, high = entropy_bounds_from_top_k([[0.0, -math.inf]], 9)
    assert (low[0], high[0]) == (0.0, 0.0)
    with pytest.raises(ConfigError, match="vocabulary of 1"):
        entropy_bounds_from_top_k([[0.0, -1.0]], 1)
