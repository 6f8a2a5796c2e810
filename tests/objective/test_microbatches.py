"""Micro-batches hold every row once within the budget, and no row that weighs anything is left out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.objective import cut_by_tokens, find_needed_rows


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 200))
def test_every_row_once_within_the_budget_and_longest_first(lengths_N, max_tokens):
    batches = cut_by_tokens(lengths_N, max_tokens)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths_N)))
    for batch in batches:
        longest = max(lengths_N[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= max_tokens
    order = [lengths_N[row] for batch in batches for row in batch]
    assert order == sorted(order, reverse=True)


def test_rows_of_like_length_share_a_pass():
    assert cut_by_tokens([2, 9, 3, 10, 2], 20) == [[3, 1], [2, 0, 4]]


def test_no_room_is_refused():
    with pytest.raises(ConfigError, match="takes 1 or more"):
        cut_by_tokens([1], 0)


MASK = torch.tensor([[1, 1], [1, 0], [1, 1], [0, 0]])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [True, False, True, False]),
        ({"has_anchor": True}, [True, True, True, False]),
        ({"has_anchor": True, "anchored_B": torch.tensor([0.0, 1.0, 0.0, 1.0])}, [True, True, True, False]),
        ({"has_anchor": True, "anchored_B": torch.zeros(4)}, [True, False, True, False]),
        ({"has_entropy_term": True}, [True, True, True, False]),
    ],
)
def test_rows_are_needed_for_a_reason(settings, expected):
    advantages = torch.tensor([1.0, 0.0, -1e-9, 2.0])
    assert find_needed_rows(advantages, MASK, **settings).tolist() == expected
    per_token = torch.stack([torch.zeros(4), advantages], dim=1)
    assert find_needed_rows(per_token, MASK, **settings).tolist() == expected
