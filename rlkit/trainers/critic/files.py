"""A critic on disk: `critic.safetensors` with its weights by name, `critic.json` with what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from rlkit.errors import ConfigError
from rlkit.files import write_json

WEIGHTS, DESCRIPTION = "critic.safetensors", "critic.json"


def save_weights(directory: str | Path, weights: Mapping[str, torch.Tensor], kind: str) -> None:
    """Write both files, the weights last: a directory that has them is whole."""
    from safetensors.torch import save_file

    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / DESCRIPTION, {"format": 1, "kind": kind, "num_tensors": len(weights)})
    whole = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    unfinished = folder / f"{WEIGHTS}.part"
    save_file(whole, unfinished)
    unfinished.replace(folder / WEIGHTS)


def load_weights(directory: str | Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Read the weights of a saved critic into those of this one, in place.

    Raises:
        ConfigError: there is none, or it is of another kind or size; the first tensor that does not fit is named.
    """
    from safetensors.torch import load_file

    path = Path(directory) / WEIGHTS
    if not path.is_file():
        raise ConfigError(f"{directory} holds no critic; {WEIGHTS} is missing.")
    saved = load_file(path)
    for name in sorted({*saved, *weights}):
        there, here = (None if name not in of else tuple(of[name].shape) for of in (saved, weights))
        if there != here:
            raise ConfigError(
                f"The critic in {directory} does not fit this one: {name} is {there or 'missing'} there and "
                f"{here or 'missing'} here; take one of the same kind and size."
            )
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[name].to(weight))
