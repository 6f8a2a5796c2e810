"""What a merged model says of itself: a card for people, and a record for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit import __version__
from rlkit.evaluation.configuration import model_fingerprint
from rlkit.weights.mixture import Mixture

_WHAT = {
    "average": "The weighted mean of {num} {parts}.",
    "interpolate": "A point on the line from a base to a trained model: (1 - w) base + w trained, here w = {weight:g}.",
    "restore": "A trained model with layers {layers} put back to those of its base; all else is the trained model's.",
}


_TITLES = {"average": "Average", "interpolate": "Interpolation", "restore": "Restored layers"}


@dataclass
class Unchanged:
    """How many weights of the result are those of each source, bit by bit."""

    num_weights: int
    num_same: list[int]

    def shares(self) -> list[float | None]:
        """Return one share a source, range [0, 1]; None of no weights."""
        return [each / self.num_weights if self.num_weights else None for each in self.num_same]


def describe(mixture: Mixture) -> dict[str, Any]:
    """Return what identifies a merge, as JSON: two of the same are one and the same model."""
    return {
        "kind": mixture.kind,
        **mixture.parameters,
        "sources": [
            {"name": each.name, "is_adapter": each.is_adapter, "fingerprint": model_fingerprint(str(each.folder))}
            for each in mixture.sources
        ],
    }


def write_card(mixture: Mixture, record: Mapping[str, Any], unchanged: Unchanged | None, more: Sequence[str]) -> str:
    """Return README.md of a merged model.

    Args:
        mixture: what it is made of.
        record: as `describe` gives it.
        unchanged: shares of the weights; None for adapters.
        more: sentences about this merge.
    """
    things = "adapters" if mixture.is_of_adapters else "models"
    parts = "adapters: of what they add to their base" if mixture.is_of_adapters else "models, weight by weight"
    parameters = {"weight": 0.0, **mixture.parameters, "layers": ", ".join(map(str, mixture.layers))}
    what = _WHAT[mixture.kind].format(**parameters, num=len(mixture.sources), parts=parts)
    shares = unchanged.shares() if unchanged else [None] * len(mixture.sources)
    rows = [
        f"| {_in_table(source['name'])} | {weight:.6g} | {source['fingerprint']} | "
        f"{'-' if share is None else f'{share:.4%}'} |"
        for source, weight, share in zip(record["sources"], mixture.weights, shares, strict=True)
    ]
    lines = [
        *("---", "tags:", "- merge", "- rlkit", "---", "", f"# {_TITLES[mixture.kind]} of {things}", "", what),
        *("", "| made of | weight | fingerprint | weights of the result that are bit-identical |", "|---|---|---|---|"),
        *rows,
        *("", *more, *([""] if more else []), f"Written by `rlkit merge {mixture.kind}`, rlkit {__version__}.", ""),
    ]
    return "\n".join(lines)


def _in_table(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)[1:-1].replace("|", "\\|")
