"""Hugging Face models for reading texts: loaded once a process, kept out of every dataclass and pickle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

import torch

from rlkit.errors import ConfigError

_LOADING = RLock()


def pick_device(device: str | None) -> str:
    """Return the device as given; for None the GPU when there is one, else the CPU."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(location: str, keep: str) -> Any:
    """Return a tokenizer that keeps the `first` or `last` tokens of what is too long; the same object every time.

    Raises:
        ConfigError: there is none to be had.
    """
    with _LOADING:
        return _load_tokenizer(location, keep)


def load_model(location: str, device: str, head: str = "AutoModel") -> Any:
    """Return a model in float32 and evaluation mode, without gradients; the same object every time.

    Args:
        location: a directory or hub id, as `rlkit.models.locate_model` returns it.
        device: where it runs.
        head: the auto class of transformers, `AutoModel` or `AutoModelForSequenceClassification`.

    Raises:
        ConfigError: it does not load, or the head asked for is not among its weights and would be random.
    """
    with _LOADING:
        return _load_model(location, device, head)


def count_positions(tokenizer: Any, model: Any) -> int:
    """Return how many tokens model and tokenizer take at most; a very large number where neither states it."""
    stated = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(int(tokenizer.model_max_length), int(stated) if stated and stated > 0 else 1 << 62)


def pad_batch(rows: Sequence[dict[str, list[int]]], pad_id: int, device: str) -> dict[str, torch.Tensor]:
    """Return the rows of a batch as tensors of shape (batch, longest), padded on the right.

    Padding by hand serves decoders without a padding token too: behind the last real token and masked, any id will do.
    """
    longest = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": pad_id}
    return {
        key: torch.tensor([row[key] + [fill.get(key, 0)] * (longest - len(row[key])) for row in rows], device=device)
        for key in rows[0]
    }


def padding_id(tokenizer: Any) -> int:
    """Return the id that fills a batch: the padding token, else the end token, else 0."""
    return next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)


@lru_cache(maxsize=8)
def _load_tokenizer(location: str, keep: str) -> Any:
    from transformers import AutoTokenizer

    side = "right" if keep == "first" else "left"
    try:
        return AutoTokenizer.from_pretrained(location, truncation_side=side)
    except (OSError, ValueError, KeyError) as error:
        raise _load_error(location, error) from error


@lru_cache(maxsize=8)
def _load_model(location: str, device: str, head: str) -> Any:
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        # Weights that a checkpoint lacks, such as an unused pooler's, are drawn at random: always the same, and away
        # from the run's own random numbers.
        with torch.random.fork_rng(devices=[]), _outside_zero3():
            torch.default_generator.manual_seed(0)
            model, info = getattr(transformers, head).from_pretrained(
                location, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, KeyError) as error:
        raise _load_error(location, error) from error
    finally:
        logging.set_verbosity(verbosity)
    _refuse_random_head(location, head, info["missing_keys"])
    if model.config.is_encoder_decoder:
        raise ConfigError(f"The model {location!r} is an encoder-decoder; choose an encoder or a decoder.")
    return model.eval().requires_grad_(False).to(device)


@contextmanager
def _outside_zero3() -> Iterator[None]:
    """Load a model whole while a run shards its own: under ZeRO-3, `from_pretrained` would scatter this one too."""
    from transformers.integrations import deepspeed

    if not deepspeed.is_deepspeed_zero3_enabled():
        yield
        return
    config = deepspeed._hf_deepspeed_config_weak_ref()
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        deepspeed.set_hf_deepspeed_config(config)


def _refuse_random_head(location: str, head: str, missing: Sequence[str]) -> None:
    if missing and head != "AutoModel":
        raise ConfigError(
            f"The model {location!r} has no weights for {sorted(missing)[0]!r}, so it is not trained as a classifier; "
            "choose a sequence-classification model."
        )


def _load_error(location: str, error: Exception) -> ConfigError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    where = "in the directory" if Path(location).is_dir() else "on the hub, or no access to it:"
    return ConfigError(f"There is no usable model {where} {location!r}: {reason}.")
