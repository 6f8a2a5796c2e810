"""The growing cache against the library's own."""

from __future__ import annotations

import torch
from transformers import DynamicCache, LlamaConfig, MistralConfig

from rlkit.evaluation.engines.kv_cache import GrowingLayer, new_cache

CONFIG = LlamaConfig(num_hidden_layers=2, hidden_size=32, num_attention_heads=2)


def test_it_holds_what_the_library_s_cache_holds() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = new_cache(CONFIG), DynamicCache(config=CONFIG)
    rows = 3
    for step in range(120):
        for layer in range(2):
            states = [torch.randn(rows, 2, 5 if step == 0 else 1, 16, generator=generator) for _ in range(2)]
            for mine, other in zip(ours.update(*states, layer), theirs.update(*states, layer), strict=True):
                torch.testing.assert_close(mine, other, rtol=0, atol=0)
        assert ours.get_seq_length() == theirs.get_seq_length() == 5 + step
        if step in (0, 40, 80):
            kept = {0: torch.tensor([0, 0, 1, 2, 2]), 40: torch.tensor([4, 1, 0]), 80: torch.tensor([2])}[step]
            rows = len(kept)
            ours.batch_select_indices(kept)
            theirs.batch_select_indices(kept)


def test_memory_is_not_copied_for_every_token() -> None:
    cache = new_cache(CONFIG)
    one = torch.zeros(1, 2, 1, 16)
    places = {cache.update(one, one, 0)[0].data_ptr() for _ in range(400)}
    assert len(places) < 12


def test_layers_of_other_kinds_are_left_alone() -> None:
    cache = new_cache(MistralConfig(num_hidden_layers=2, sliding_window=8))
    assert not any(isinstance(layer, GrowingLayer) for layer in cache.layers)
    assert all(isinstance(layer, GrowingLayer) for layer in new_cache(CONFIG).layers)
