"""Top-k mass, entropy and entropy bounds: golden numbers, brute force over what the tail can be, laws."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.estimators.top_k_mass import in_bits, top_k_of_logps

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
