"""Sentence embeddings: the pooled hidden states of any Hugging Face model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlkit.diversity.pretrained import count_positions, load_model, load_tokenizer, pad_batch, padding_id, pick_device
from rlkit.models import locate_model
from rlkit.parameters import check_choice, check_count, check_text


@dataclass(frozen=True)
class SentenceEmbedding:
    """Last hidden states of a frozen model, pooled over the real tokens of each text; not normalised.

    Any encoder or decoder that transformers' `AutoModel` loads will do, an embedding model or the base policy itself.
    It runs in float32 and evaluation mode, is loaded when first used, once a process, and is no part of this object:
    equal parameters are equal embeddings, and pickles are small. Texts are run in order of length, so that batches
    carry little padding; what a text is batched with changes its vector by rounding only. Blank texts, and those
    without tokens, are rows of NaN.

    Raises:
        ConfigError: a parameter is not allowed, there is no such model, or it does not load (the latter when first
            used).
    """

    model: str
    """A directory, a bundled model, or a hub id; there is no default, since none fits every policy."""
    max_tokens: int = 512
    """Longer texts are cut to this many tokens, special ones included, or to what the model takes if that is less."""
    batch_size: int = 64
    """Texts in one forward pass."""
    pooling: str = "mean"
    """`mean` over real tokens; `last` real token (decoders trained so); `cls`, the first token (BERT's habit)."""
    keep: str = "last"
    """Which tokens of a text that is too long are kept, `last` (where the answer is) or `first`."""
    device: str | None = None
    """`cpu`, `cuda`, ...; None takes the GPU when there is one."""

    def __post_init__(self) -> None:
        """Check every parameter, and that a model of that name can be meant."""
        name = "sentence_embedding"
        check_text(name, "model", self.model)
        check_count(name, "max_tokens", self.max_tokens)
        check_count(name, "batch_size", self.batch_size)
        check_choice(name, "pooling", self.pooling, ("mean", "last", "cls"))
        check_choice(name, "keep", self.keep, ("last", "first"))
        if self.device is not None:
            check_text(name, "device", self.device)
        locate_model(self.model)

    @property
    def dims(self) -> int:
        """Length of the vectors, E; loads the model."""
        return int(self._load()[1].config.get_text_config().hidden_size)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return pooled hidden states, float32 of shape (N, E)."""
        tokenizer, model = self._load()
        embeddings_NE = np.full((len(texts), self.dims), np.nan, dtype=np.float32)
        rows = {place: self._encode(text, tokenizer, model) for place, text in enumerate(texts) if text.strip()}
        order = sorted(
            (place for place, row in rows.items() if row["input_ids"]), key=lambda p: len(rows[p]["input_ids"])
        )
        for start in range(0, len(order), self.batch_size):
            places = order[start : start + self.batch_size]
            batch = pad_batch([rows[place] for place in places], padding_id(tokenizer), pick_device(self.device))
            embeddings_NE[places] = self._pool(model, batch)
        return embeddings_NE

    def _load(self) -> tuple[Any, Any]:
        location = locate_model(self.model)
        return load_tokenizer(location, self.keep), load_model(location, pick_device(self.device))

    def _encode(self, text: str, tokenizer: Any, model: Any) -> dict[str, list[int]]:
        length = min(self.max_tokens, count_positions(tokenizer, model))
        encoded = tokenizer(text, truncation=True, max_length=length, return_token_type_ids=False)
        return {key: list(encoded[key]) for key in ("input_ids", "attention_mask")}

    @torch.inference_mode()
    def _pool(self, model: Any, batch: dict[str, torch.Tensor]) -> np.ndarray:
        states_BTE = model(**batch).last_hidden_state.float()
        mask_BT = batch["attention_mask"]
        if self.pooling == "cls":
            pooled_BE = states_BTE[:, 0]
        elif self.pooling == "last":
            pooled_BE = states_BTE[torch.arange(len(states_BTE)), mask_BT.sum(dim=1) - 1]
        else:
            # Masked by selection, not by a product: a NaN at padding must not reach the sum.
            kept_BTE = states_BTE.masked_fill(mask_BT[:, :, None] == 0, 0.0)
            pooled_BE = kept_BTE.sum(dim=1) / mask_BT.sum(dim=1, keepdim=True)
        return pooled_BE.cpu().numpy()
