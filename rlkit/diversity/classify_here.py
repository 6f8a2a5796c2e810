"""A sequence classifier in this process: class probabilities of pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rlkit.diversity.pretrained import count_positions, load_model, load_tokenizer, pad_batch, padding_id, pick_device
from rlkit.errors import ConfigError
from rlkit.models import locate_model

Pair = tuple[str, str]


def classify_pairs(
    model: str, pairs: Sequence[Pair], template: str | None, *, keep: str, batch_size: int, device: str | None
) -> list[list[float]]:
    """Return the class probabilities of each pair: softmax over C classes, the sigmoid where there is one output.

    Args:
        model: a directory, bundled model or hub id.
        pairs: texts to read together, in this order.
        template: makes one text of two, with {first} and {second}; None for the tokenizer's own way with pairs.
        keep: which end of a pair beyond the model's positions is kept, `first` or `last`.
        batch_size: pairs in one forward pass.
        device: None takes the GPU when there is one.

    Raises:
        ConfigError: the model does not load or is no classifier, or its tokenizer needs a template.
    """
    location = locate_model(model)
    tokenizer = load_tokenizer(location, keep)
    if template is None and tokenizer.sep_token is None:
        raise ConfigError(
            f"The tokenizer of {model!r} puts nothing between two texts; write the template that the model was trained "
            "with, one with {first} and {second}."
        )
    classifier = load_model(location, pick_device(device), "AutoModelForSequenceClassification")
    rows = [_encode(pair, template, tokenizer, count_positions(tokenizer, classifier)) for pair in pairs]
    pad_id = classifier.config.get_text_config().pad_token_id
    # Decoders find the last real token by the padding id; where they have none, rows must not be padded.
    size = batch_size if pad_id is not None else 1
    pad_id = padding_id(tokenizer) if pad_id is None else pad_id
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]["input_ids"]))
    shares: dict[int, list[float]] = {}
    for start in range(0, len(order), size):
        places = order[start : start + size]
        batch = pad_batch([rows[place] for place in places], pad_id, classifier.device)
        shares.update(zip(places, _forward(classifier, batch), strict=True))
    return [shares[place] for place in range(len(rows))]


def _encode(pair: Pair, template: str | None, tokenizer: Any, positions: int) -> dict[str, list[int]]:
    if template is None:
        encoded = tokenizer(*pair, truncation="longest_first", max_length=positions)
    else:
        text = template.format(first=pair[0], second=pair[1])
        encoded = tokenizer(text, truncation=True, max_length=positions)
    return {key: list(ids) for key, ids in encoded.items()}


@torch.inference_mode()
def _forward(classifier: Any, batch: dict[str, torch.Tensor]) -> list[list[float]]:
    logits_BC = classifier(**batch).logits.double()
    shares_BC = logits_BC.sigmoid() if logits_BC.shape[1] == 1 else logits_BC.softmax(dim=1)
    shares: list[list[float]] = shares_BC.tolist()
    return shares
