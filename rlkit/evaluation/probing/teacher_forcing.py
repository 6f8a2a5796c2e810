"""Completions read by a model token by token as they were drawn, in pieces of bounded memory.

Texts are read over a key-value cache in chunks of time, so that the logits of a chunk, the largest tensors by far, fit
whatever the vocabulary, while each token is still read once. Rows are padded on the right: what comes after a row's end
is never seen by the row, so no mask is needed.

R counts the rows of a batch, L their padded length, N the tokens of a chunk whose log-probs are asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlkit.evaluation.engines.batching import bytes_per_token
from rlkit.evaluation.probing.reencoding import Scorable

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TokenValues = dict[str, NDArray[np.float32]]
"""Name of a quantity -> its value at each token of one completion, shape (T,)."""

Measure = Callable[["list[torch.Tensor]", "torch.Tensor"], "dict[str, torch.Tensor]"]
"""(logits of each model, each (N, V); drawn tokens (N,)) -> quantities of shape (N,)."""

# Shares of the memory that a GPU has left for caches and for logits, the rest being for what passes between layers.
_GPU_SHARE = 0.25
_CPU_BYTES = 1 << 30
# A measure holds about sixteen tensors of a chunk's logits in float32 at once, over both models.
_BYTES_PER_ENTRY = 64
# Beyond these, more at once is no faster.
_MOST_TOKENS, _MOST_ENTRIES = 1 << 16, 1 << 27
# Rows of a batch leave room for at least this many positions in a chunk.
_SHORTEST_CHUNK = 16


def read_completions(
    models: Sequence[PreTrainedModel],
    samples: Sequence[Scorable],
    measure: Measure,
    *,
    batch_tokens: int | None = None,
    chunk_entries: int | None = None,
) -> Iterator[list[tuple[int, TokenValues]]]:
    """Yield, batch by batch, the index of each sample and what `measure` finds at each of its tokens.

    Args:
        models: causal language models on one device that share a vocabulary, each in evaluation mode.
        samples: any order; long ones are read first, so that what does not fit fails at once.
        measure: called without gradients, on logits in the model's own type.
        batch_tokens: tokens of a batch, prompts and padding included; None fits the memory.
        chunk_entries: logits of one model held at a time; None fits the memory.
    """
    memory = _memory(models[0].device)
    entries = chunk_entries or min(_MOST_ENTRIES, memory // _BYTES_PER_ENTRY)
    a_token = sum(bytes_per_token(each.config, next(each.parameters()).element_size()) for each in models)
    budget = batch_tokens or min(_MOST_TOKENS, memory // a_token)
    vocabulary: Any = models[0].config.get_text_config().vocab_size
    most_rows = max(1, entries // (vocabulary * _SHORTEST_CHUNK))
    order = sorted(range(len(samples)), key=lambda index: -_length(samples[index]))
    while order:
        rows = max(1, min(most_rows, budget // _length(samples[order[0]])))
        batch, order = order[:rows], order[rows:]
        yield list(zip(batch, _read_batch(models, [samples[at] for at in batch], measure, entries), strict=True))


def _read_batch(
    models: Sequence[PreTrainedModel], samples: Sequence[Scorable], measure: Measure, entries: int
) -> list[TokenValues]:
    import torch

    device = models[0].device
    longest = max(map(_length, samples))
    ids_RL = torch.zeros(len(samples), longest, dtype=torch.long)
    wanted_RL = torch.zeros(len(samples), longest - 1, dtype=torch.bool)
    for row, sample in enumerate(samples):
        ids_RL[row, : _length(sample)] = torch.tensor(sample.prompt_ids + sample.completion_ids)
        # The logits at a position are those of the next token.
        wanted_RL[row, len(sample.prompt_ids) - 1 : _length(sample) - 1] = True
    ids_RL, wanted_RL = ids_RL.to(device), wanted_RL.to(device)
    found: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        readers = [_Reader(model) for model in models]
        for start, end in _chunks(samples, longest - 1, entries, models[0]):
            wanted_RC = wanted_RL[:, start:end]
            if not wanted_RC.any():
                for reader in readers:
                    reader.read(ids_RL[:, start:end])
                continue
            logits = [reader.read(ids_RL[:, start:end], with_logits=True)[wanted_RC] for reader in readers]
            for name, values_N in measure(logits, ids_RL[:, start + 1 : end + 1][wanted_RC]).items():
                if name not in found:
                    found[name] = torch.full(wanted_RL.shape, torch.nan, device=device)
                found[name][:, start:end][wanted_RC] = values_N.float()
            del logits
    tables = {name: table_RL.cpu().numpy() for name, table_RL in found.items()}
    wanted = wanted_RL.cpu().numpy()
    return [{name: table[row, wanted[row]] for name, table in tables.items()} for row in range(len(samples))]


class _Reader:
    """A model with what it has read of a batch."""

    def __init__(self, model: PreTrainedModel) -> None:
        from rlkit.evaluation.engines.kv_cache import new_cache

        self._model, self._cache = model, new_cache(model.config)
        self._can_skip = "logits_to_keep" in inspect.signature(model.forward).parameters

    def read(self, ids_RC: torch.Tensor, with_logits: bool = False) -> torch.Tensor:
        """Read the next tokens of every row; return their logits (R, C, V), or only the last ones."""
        options = {"logits_to_keep": 1} if self._can_skip and not with_logits else {}
        output = self._model(input_ids=ids_RC, past_key_values=self._cache, use_cache=True, **options)
        logits: torch.Tensor = output.logits
        return logits


def _chunks(
    samples: Sequence[Scorable], length: int, entries: int, model: PreTrainedModel
) -> Iterator[tuple[int, int]]:
    """Yield start and end of each chunk of time: first what all rows have of prompts, then what fits with logits."""
    vocabulary: Any = model.config.get_text_config().vocab_size
    size = max(1, entries // (vocabulary * len(samples)))
    start = min(len(sample.prompt_ids) for sample in samples) - 1
    if start:
        yield 0, start
    for at in range(start, length, size):
        yield at, min(length, at + size)


def _memory(device: torch.device) -> int:
    """Return how many bytes caches may take, and logits as many again."""
    import torch

    return int(_GPU_SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else _CPU_BYTES


def _length(sample: Scorable) -> int:
    return len(sample.prompt_ids) + len(sample.completion_ids)
