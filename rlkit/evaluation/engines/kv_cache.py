"""A key-value cache that grows in blocks, where the library's copies everything it holds for each new token."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_BLOCK = 16


class GrowingLayer(DynamicLayer):
    """A cache layer with spare room behind its last token; `keys` and `values` are views of what is filled."""

    keys: torch.Tensor
    values: torch.Tensor
    _storage: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append states of shape (rows, heads, new tokens, width); return all keys and values so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._storage is None or end > self._storage[0].shape[-2]:
            self._storage = self._enlarged(key_states, start, end), self._enlarged(value_states, start, end)
            if start:
                self._storage[0][:, :, :start], self._storage[1][:, :, :start] = self.keys, self.values
        keys, values = self._storage
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order; a row may occur several times."""
        super().batch_select_indices(indices)
        self._storage = None

    def _enlarged(self, states: torch.Tensor, start: int, end: int) -> torch.Tensor:
        rows, heads, _, width = states.shape
        return states.new_empty(rows, heads, max(end + _BLOCK, 3 * start // 2), width)


def new_cache(config: Any) -> DynamicCache:
    """Return an empty cache for a model; layers that are not plain ones (sliding windows, ...) stay the library's."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
