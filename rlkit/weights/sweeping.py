"""Several weights of one interpolation, and whether what is already on disk is one of them."""

from __future__ import annotations

import math
from pathlib import Path

from rlkit.errors import ConfigError
from rlkit.weights.card import describe
from rlkit.weights.directory import read_record
from rlkit.weights.mixture import Mixture

_MOST = 101


def read_sweep(text: str) -> list[float]:
    """Return the weights that START:STOP:COUNT means, both ends among them: 0:1:5 is 0, 0.25, 0.5, 0.75, 1.

    Raises:
        ConfigError: it is not of that form, or two of the weights are one.
    """
    parts = text.split(":")
    try:
        start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
    except (ValueError, IndexError):
        start, stop, count = math.nan, math.nan, 0
    if len(parts) != 3 or not math.isfinite(start + stop) or not 2 <= count <= _MOST:
        raise ConfigError(
            f"--sweep was given as {text!r}; write START:STOP:COUNT with a count of 2 to {_MOST}, such as 0:1:5."
        )
    # A third times three is not one, and a directory is called by its weight.
    weights = [round(start + (stop - start) * place / (count - 1), 6) for place in range(count)]
    if len({*weights}) < count:
        raise ConfigError(f"--sweep was given as {text!r}, in which weights repeat; write a wider range or fewer.")
    return weights


def read_layers(text: str) -> list[int]:
    """Return the layers that START:STOP means, without STOP as in Python; several of them and numbers with commas.

    Raises:
        ConfigError: it is not of that form, or names no layer.
    """
    layers: list[int] = []
    for part in text.split(","):
        start, colon, stop = (each.strip() for each in part.partition(":"))
        if not start.isdecimal() or (colon and not stop.isdecimal()) or (colon and int(stop) <= int(start)):
            raise ConfigError(
                f"--layers was given as {text!r}; write START:STOP, without STOP and counted from 0, such as 0:3, or "
                "numbers and ranges with commas, such as 0,4:6."
            )
        if int(stop or start) > 100_000:
            raise ConfigError(f"--layers was given as {text!r}; no model has so many layers.")
        layers += range(int(start), int(stop)) if colon else [int(start)]
    return layers


def is_written(mixture: Mixture, output: Path) -> bool:
    """Return whether a directory holds this very mixture, of the same files."""
    record = read_record(output)
    return bool(record) and {**record, "unchanged": None} == {**describe(mixture), "unchanged": None}
