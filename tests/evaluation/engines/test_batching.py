"""Batches cover every sample once and stay within their budget."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig

from rlkit.evaluation.engines.batching import Span, bytes_per_token, halve, plan_batches


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=12),
    n=st.integers(1, 40),
    budget=st.integers(1, 3000),
    max_rows=st.integers(1, 64),
)
def test_every_sample_once_and_no_batch_over_budget(lengths: list[int], n: int, budget: int, max_rows: int) -> None:
    batches = list(plan_batches(lengths, n, 20, 60, budget, max_rows))
    drawn = Counter((span.prompt, number) for batch in batches for span in batch for number in span.samples())
    assert drawn == Counter((prompt, number) for prompt in range(len(lengths)) for number in range(n))
    for batch in batches:
        rows = sum(span.count for span in batch)
        widest = max(min(lengths[span.prompt] + 20, 60) for span in batch)
        assert rows == 1 or (rows <= max_rows and rows * widest <= budget)


def test_the_longest_prompts_come_first_so_that_memory_fails_early() -> None:
    first, *_ = plan_batches([3, 9, 5], n=2, max_tokens=4, context=None, batch_tokens=26, max_rows=8)
    assert first == [Span(1, 0, 2)]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_halves_hold_the_same_samples(counts: list[int]) -> None:
    batch = [Span(prompt, 2, count) for prompt, count in enumerate(counts)]
    halves = halve(batch)
    if sum(counts) == 1:
        assert halves is None
        return
    left, right = ([(span.prompt, number) for span in half for number in span.samples()] for half in halves)
    assert left + right == [(span.prompt, number) for span in batch for number in span.samples()]
    assert abs(len(left) - len(right)) <= 1


def test_cache_memory_counts_grouped_heads() -> None:
    config = LlamaConfig(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=3)
    assert bytes_per_token(config, 4) == 2 * 3 * 2 * 16 * 4
