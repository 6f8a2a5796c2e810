"""The sampler's correction against a loop, in every mode."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.objective import correct_for_sampler
from rlkit.objective.importance import MODES

OLD = torch.tensor([[-1.0, -2.0, -0.5], [-3.0, -0.1, -9.0]], requires_grad=True)
SAMPLER = torch.tensor([[-1.5, -2.0, math.nan], [-1.0, -2.5, 5.0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])


def correct_by_loop(mode, low, high):
    rows = []
    for old_T, sampler_T, mask_T in zip(OLD.tolist(), SAMPLER.tolist(), MASK.tolist(), strict=True):
        differences = [
            old - sampler if counts and not math.isnan(sampler) else 0.0
            for old, sampler, counts in zip(old_T, sampler_T, mask_T, strict=True)
        ]
        ratios = [math.exp(d) for d in ([sum(differences)] if "sequence" in mode else differences)]
        if "truncate" in mode:
            ratios = [min(max(ratio, low or -math.inf), math.inf if high is None else high) for ratio in ratios]
        else:
            ratios = [0.0 if (low is not None and r < low) or (high is not None and r > high) else r for r in ratios]
        rows.append(ratios)
    return torch.tensor(rows)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("low", "high"), [(None, 3.0), (0.5, 2.0), (0.5, None), (None, None)])
def test_equals_the_loop(mode, low, high):
    found = correct_for_sampler(OLD, SAMPLER, MASK, mode, low, high)
    torch.testing.assert_close(found, correct_by_loop(mode, low, high))
    assert not found.requires_grad


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match="sequence_mask"):
        correct_for_sampler(OLD, SAMPLER, MASK, "sequence_masked")
