"""Forward passes whose last hidden states a critic reads: of picked rows, without padding, dropout off."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch

from rlkit.trainers.loss import Rows
from rlkit.trainers.update import Pick, cut_picks, gather_rows, measure_budget, pick_rows


def find_decoder(model: Any) -> Any:
    """Return the part of a model whose output are hidden states: without the head over the vocabulary."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    return inner.get_decoder() if hasattr(inner, "get_decoder") else inner.base_model


def hidden_size(model: Any) -> int:
    """Return the width of a model's hidden states."""
    config = model.config
    return int((config.get_text_config() if hasattr(config, "get_text_config") else config).hidden_size)


def read_hidden(decoder: Any, rows: Rows) -> torch.Tensor:
    """Return the hidden states (B, T + 1, H) from the last token of the prompt to that of the completion.

    The one at place t has seen everything before the completion's token t, so that a value read off it is an
    expectation of what comes; the one at place T has seen all.
    """
    ids = torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1)
    mask = torch.cat([rows["prompt_mask"], rows["completion_mask"]], dim=1)
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
    if "position_ids" in inspect.signature(decoder.forward).parameters:
        # Counted from the first token, so that padding on the left does not matter to learnt positions either.
        given["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
    hidden: torch.Tensor = decoder(**given).last_hidden_state
    return hidden[:, rows["prompt_ids"].size(1) - 1 :]


def cut_rows(rows: Rows, chosen_B: torch.Tensor, rows_at_once: int) -> list[list[Pick]]:
    """Return chosen rows in micro-batches of like length, none larger than so many of the longest rows."""
    picks = pick_rows([rows], [chosen_B])
    budget = measure_budget([rows]) * rows_at_once // max(len(rows["completion_ids"]), 1)
    return cut_picks(picks, max(budget, 1))


def gather_part(rows: Rows, part: list[Pick]) -> Rows:
    """Return picked rows as a micro-batch; one that is idle, a pass only for others' sake, has no tokens."""
    return gather_rows([rows], part)


def idle_part() -> list[Pick]:
    """Return the part of a rank that has no rows left, while others still forward."""
    return [Pick(0, 0, 1, 1)]


@contextlib.contextmanager
def without_dropout(model: Any) -> Iterator[None]:
    """Keep dropout off for the block: with it, two passes over equal weights would expect different things.

    A model without dropout stays in its mode, in which it may checkpoint activations.
    """
    was_training = model.training
    if not (was_training and _has_dropout(model)):
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _has_dropout(model: Any) -> bool:
    if any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in model.modules()):
        return True
    config = getattr(model, "config", None)
    return any(bool(getattr(config, key, 0.0)) for key in ("attention_dropout", "resid_pdrop", "attn_pdrop"))
