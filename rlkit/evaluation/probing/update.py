"""The update section of probe.json: what training changed in the weights, slice by slice from two checkpoints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.estimators import ChangeCounts, change_rank
from rlkit.evaluation.probing.weights import SavedWeights, row_slices

if TYPE_CHECKING:
    import torch

Changes = Mapping[str, "torch.Tensor"]
"""Name of a weight -> what a LoRA adapter adds to it."""

# Singular values cost the cube of a width; a quarter of the layers tells the picture.
_RANK_EVERY_LAYER = 4
_LAYER = re.compile(r"\.(\d+)\.")


def measure_update(
    path: str, base_path: str, added: Changes, base_added: Changes, device: str = "cpu"
) -> dict[str, Any]:
    """Return how much two checkpoints differ, JSON-ready; neither is loaded as a whole.

    Args:
        path, base_path: directories or hub ids of the two models.
        added, base_added: what an adapter adds to weights of each, unmerged and so never rounded to the saved type.
        device: where ranks are computed.

    Raises:
        ConfigError: the two do not have the same parameters, or one has no safetensors files.
    """
    with SavedWeights(path) as after, SavedWeights(base_path) as before:
        _check_same(after, before, path, base_path)
        unknown = sorted((added.keys() | base_added.keys()) - after.shapes.keys())
        if unknown:
            raise ConfigError(f"An adapter changes {unknown[0]!r}, which the saved weights of {path!r} do not have.")
        layers: dict[str, ChangeCounts] = {}
        ranks = []
        for name, shape in after.shapes.items():
            counts = layers.setdefault(layer_of(name), ChangeCounts())
            changes = []
            keep = _is_ranked(name, shape)
            for change, weight in _slices(name, shape, after, before, added, base_added):
                counts.add(change, weight)
                if keep:
                    changes.append(change)
            if keep:
                ranks.append({"name": name, "shape": list(shape), **_rank(changes, device)})
        dtypes, base_dtypes, not_counted = after.dtypes, before.dtypes, after.not_counted
    total = sum(layers.values(), ChangeCounts())
    return {
        "dtypes": {"model": dtypes, "base": base_dtypes},
        "has_adapter": {"model": bool(added), "base": bool(base_added)},
        **_counts(total),
        "largest_change": total.largest_change,
        "layers": [{"name": name, **_counts(counts)} for name, counts in sorted(layers.items(), key=_layer_order)],
        "ranks": ranks,
        "rank_every_layer": _RANK_EVERY_LAYER,
        "not_counted": not_counted,
        "caution": _caution(dtypes, base_dtypes),
    }


def layer_of(name: str) -> str:
    """Return the layer's number, or the name of what lies beside the layers: `embed_tokens`, `norm`, `lm_head`."""
    found = _LAYER.search(name)
    return found[1] if found else name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]


def _slices(
    name: str,
    shape: tuple[int, ...],
    after: SavedWeights,
    before: SavedWeights,
    added: Changes,
    base_added: Changes,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the change and the base's weights of each slice of a parameter."""
    for start, end in row_slices(shape):
        weight = before.rows(name, start, end)
        change = after.rows(name, start, end) - weight
        # Added to the difference and not to the weights, so that a small product is not rounded away against them.
        if name in added:
            change = change + added[name][start:end].to(change)
        if name in base_added:
            change = change - base_added[name][start:end].to(change)
            weight = weight + base_added[name][start:end].to(change)
        yield change, weight


def _check_same(after: SavedWeights, before: SavedWeights, path: str, base_path: str) -> None:
    one, other = after.shapes, before.shapes
    if stray := sorted(one.keys() ^ other.keys()):
        raise ConfigError(
            f"{path!r} and {base_path!r} are of different architectures: only one of them has a weight {stray[0]!r}."
        )
    for name, shape in one.items():
        if other[name] != shape:
            raise ConfigError(
                f"{path!r} and {base_path!r} are of different architectures: {name!r} has shape {list(shape)} in the "
                f"one and {list(other[name])} in the other."
            )


def _is_ranked(name: str, shape: tuple[int, ...]) -> bool:
    layer = layer_of(name)
    return len(shape) == 2 and layer.isdigit() and int(layer) % _RANK_EVERY_LAYER == 0


def _rank(changes: list[torch.Tensor], device: str) -> dict[str, Any]:
    import torch

    rank = change_rank(torch.cat(changes).to(device))
    return {
        "stable_rank": _or_none(rank.stable_rank),
        "effective_rank": _or_none(rank.effective_rank),
        "numerical_rank": rank.numerical_rank,
    }


def _counts(counts: ChangeCounts) -> dict[str, Any]:
    return {
        "num_weights": counts.num_weights,
        "sparsity": {f"{tolerance:g}": _or_none(share) for tolerance, share in counts.sparsity.items()},
        "relative_change": _or_none(counts.relative_change),
    }


def _caution(dtypes: list[str], base_dtypes: list[str]) -> str | None:
    half = sorted({*dtypes, *base_dtypes} & {"bfloat16", "float16"})
    if not half:
        return None
    return (
        f"Weights saved in {' and '.join(half)}: an update smaller than the spacing of its numbers is rounded away, so "
        "shares of unchanged weights measure rounding and learning rate as well as the method; compare them only "
        "between runs of one dtype and learning rate."
    )


def _layer_order(item: tuple[str, ChangeCounts]) -> tuple[bool, int, str]:
    name = item[0]
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
