"""Every surrogate with every average and every token weight: more padding changes neither loss nor gradient."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.objective.aggregations import AGGREGATIONS
from rlkit.objective.loss import cispo, clipped, sapo
from rlkit.objective.token_weights import ClipCov, KlCov, Steer, TopEntropy
from tests.objective.averaging import average

WEIGHTS = [None, Steer(), Steer(map="linear"), ClipCov(fraction=0.3, low=0.0), KlCov(percent=30), TopEntropy(0.4)]


def loss_and_gradients(surrogate, level, kind, weight, rows, seed):
    """The whole loss of a batch; also the gradient of everything that could have one."""
    *tensors, mask_BT = [values.clone() for values in rows]
    logps_BT, old_BT, entropies_BT, advantages_B = (values.requires_grad_() for values in tensors)
    given = (logps_BT, old_BT, entropies_BT, advantages_B, mask_BT)
    torch.manual_seed(seed)
    clips = weight is None or weight.clips
    losses = surrogate(logps_BT, old_BT, advantages_B, mask_BT, level=level, clips=clips)
    if weight is not None:
        penalties_BT = weight.penalties(*given)
        losses = losses * weight(*given) + (0 if penalties_BT is None else penalties_BT)
    loss = average(losses, mask_BT, kind, max_completion_length=12, num_items=mask_BT.sum())
    loss.backward()
    return loss.detach(), logps_BT.grad, [values.grad for values in (old_BT, entropies_BT, advantages_B)]


@st.composite
def batches(draw):
    """Rows of 0 to 6 tokens, and how many columns of what is appended to them."""
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    shape = (len(lengths), 6)
    old_BT = -3 * torch.rand(shape, generator=generator, dtype=torch.float64)
    logps_BT = old_BT + 0.4 * torch.randn(shape, generator=generator, dtype=torch.float64)
    entropies_BT = 2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    advantages_B = torch.randn(len(lengths), generator=generator, dtype=torch.float64)
    mask_BT = torch.arange(6)[None] < torch.tensor(lengths)[:, None]
    return (logps_BT, old_BT, entropies_BT, advantages_B, mask_BT), draw(st.integers(1, 5))


def pad(rows, num_columns, junk):
    logps_BT, old_BT, entropies_BT, advantages_B, mask_BT = rows
    widened = [
        torch.nn.functional.pad(values.masked_fill(~mask_BT, junk), (0, num_columns), value=junk)
        for values in (logps_BT, old_BT, entropies_BT)
    ]
    return *widened, advantages_B, torch.nn.functional.pad(mask_BT, (0, num_columns))


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
@pytest.mark.parametrize(("surrogate", "level"), itertools.product([clipped, cispo, sapo], ["token", "sequence"]))
@pytest.mark.parametrize("kind", AGGREGATIONS)
@settings(max_examples=5)
@given(batches(), st.sampled_from([0.0, -7.0, math.nan, -math.inf]))
def test_more_padding_changes_nothing(surrogate, level, kind, weight, batch, junk):
    rows, num_columns = batch
    loss, gradient_BT, others = loss_and_gradients(surrogate, level, kind, weight, rows, seed=3)
    padded = loss_and_gradients(surrogate, level, kind, weight, pad(rows, num_columns, junk), seed=3)
    torch.testing.assert_close(padded[0], loss, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(padded[1][:, :6], gradient_BT, rtol=1e-9, atol=1e-12)
    assert (padded[1][:, 6:] == 0).all()
    assert others == padded[2] == [None, None, None]
