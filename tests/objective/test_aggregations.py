"""Averages of token losses against loops, and what each is invariant to."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError, MissingInputError
from rlkit.objective.aggregations import AGGREGATIONS
from tests.objective.averaging import average


def plain(rows, kind, max_completion_length, num_items):
    """The same in plain floats; `rows` are the losses of the tokens that count."""
    if kind in ("grpo", "sapo"):
        return sum(sum(row) / len(row) if row else 0.0 for row in rows) / len(rows)
    total = sum(map(sum, rows))
    if kind == "bnpo":
        return total / max(1, sum(map(len, rows)))
    return total / (len(rows) * max_completion_length if kind == "dr_grpo" else max(1, num_items))


rows_of_losses = st.lists(st.lists(st.floats(-5, 5), max_size=5), min_size=1, max_size=5)


@given(rows_of_losses, st.sampled_from(AGGREGATIONS), st.integers(0, 40), st.integers(0, 3))
def test_equals_a_loop_whatever_stands_in_padding(rows, kind, num_items, extra):
    width = max(map(len, rows)) + extra + 1
    losses_BT = torch.full((len(rows), width), math.nan, dtype=torch.float64)
    mask_BT = torch.zeros(len(rows), width)
    for index, row in enumerate(rows):
        losses_BT[index, : len(row)] = torch.tensor(row, dtype=torch.float64)
        mask_BT[index, : len(row)] = 1
    result = average(losses_BT, mask_BT, kind, max_completion_length=7, num_items=num_items)
    assert result.shape == ()
    assert result.item() == pytest.approx(plain(rows, kind, 7, num_items), abs=1e-9)


@pytest.mark.parametrize("kind", ["dapo", "cispo", "dr_grpo"])
def test_sums_over_micro_batches_are_the_whole(kind):
    losses_BT, mask_BT = torch.randn(6, 5, dtype=torch.float64), torch.rand(6, 5) > 0.4
    parts = [
        average(losses_BT[start : start + 2], mask_BT[start : start + 2], kind, max_completion_length=9, num_items=20)
        for start in (0, 2, 4)
    ]
    whole = average(losses_BT, mask_BT, kind, max_completion_length=9, num_items=20)
    # dr_grpo divides by its own rows, so its parts are means; the others are shares of one sum.
    assert (sum(parts) / (3 if kind == "dr_grpo" else 1)).item() == pytest.approx(whole.item())


@pytest.mark.parametrize("kind", AGGREGATIONS)
def test_no_tokens_no_loss_and_no_gradient(kind):
    losses_BT = torch.full((2, 3), math.inf, requires_grad=True)
    loss = average(losses_BT, torch.zeros(2, 3), kind, max_completion_length=3, num_items=0)
    loss.backward()
    assert loss.item() == 0
    assert (losses_BT.grad == 0).all()


@pytest.mark.parametrize(
    ("kind", "options", "error", "words"),
    [
        ("luspo", {}, ConfigError, "aggregation='luspo'"),
        ("drgrpo", {}, ConfigError, "Did you mean 'dr_grpo'"),
        ("dr_grpo", {}, MissingInputError, "max_completion_length"),
        ("dapo", {}, MissingInputError, "num_items"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(kind, options, error, words):
    with pytest.raises(error, match=words):
        average(torch.zeros(2, 3), torch.ones(2, 3), kind, **options)
