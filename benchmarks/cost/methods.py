"""The methods whose cost is measured: what a recipe would say of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost.models import Scale, save_encoder


@dataclass(frozen=True)
class Method:
    """Keys of `DiverseGRPOConfig`, and what was promised of them."""

    keys: dict[str, Any]
    bound: float
    """Largest share of a training step in percent."""


BOUND, BOUND_WITH_ENCODER = 3.0, 4.0
NAMES = (
    "darling",
    "darling, equation_set",
    "darling, pair_classifier",
    "darling, embedding",
    "pro_grpo",
    "dra_grpo",
    "outcome_ucb",
)


def build_methods(scale: Scale, folder: Path) -> dict[str, Method]:
    """Return every method by its name; the encoder that two of them read with is written into `folder`.

    Where nothing else is said the partition is `canonical_expression`, so that the diversity of groups is logged.
    """
    encoder = {"name": "sentence_embedding", "model": save_encoder(scale, folder / "encoder"), "device": "cpu"}
    plain: dict[str, Any] = {"partition": "canonical_expression"}
    keys_and_bounds: tuple[tuple[dict[str, Any], float], ...] = (
        ({"advantage": "darling"} | plain, BOUND),
        ({"advantage": "darling", "partition": "equation_set"}, BOUND),
        ({"advantage": "darling", "partition": "pair_classifier"}, BOUND),
        ({"advantage": "darling", "partition": {"name": "embedding", "embedding": encoder}}, BOUND_WITH_ENCODER),
        ({"advantage": "pro_grpo"} | plain, BOUND),
        ({"advantage": "dra_grpo", "embedding": encoder} | plain, BOUND_WITH_ENCODER),
        ({"advantage": "outcome_ucb"} | plain, BOUND),
    )
    return {name: Method(*each) for name, each in zip(NAMES, keys_and_bounds, strict=True)}
