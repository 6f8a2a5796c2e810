"""What is to be made of which weights, said as one object before a tensor is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.probing.update import layer_of
from rlkit.weights.sources import Source, locate_source


@dataclass(frozen=True)
class Mixture:
    """Models or adapters, and how much each counts.

    Raises:
        ConfigError: the parts cannot be mixed, whatever is in them.
    """

    kind: str
    """`average`, `interpolate` or `restore`."""
    sources: tuple[Source, ...]
    weights: tuple[float, ...]
    """One a source, of sum 1."""
    template: int = 0
    """Place of the source whose configuration, tokenizer and division into files the result takes."""
    layers: tuple[int, ...] = ()
    """Layers that come from the first source whatever the weights."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What the user chose, for the card."""

    def __post_init__(self) -> None:
        """Check that all are models, or all adapters, but for a base beneath an adapter."""
        kinds = [each.is_adapter for each in self.sources]
        has_base = self.kind != "average" and kinds == [False, True]
        if len(set(kinds)) > 1 and not has_base:
            adapter, model = self.sources[kinds.index(True)], self.sources[kinds.index(False)]
            raise ConfigError(
                f"{adapter.name} is an adapter and {model.name} a whole model; merge adapters with adapters, or put "
                "each into its base first."
            )

    @property
    def is_of_adapters(self) -> bool:
        """Whether the result is an adapter."""
        return self.sources[-1].is_adapter

    @cached_property
    def _restored(self) -> frozenset[str]:
        return frozenset(map(str, self.layers))

    def weights_of(self, name: str) -> tuple[float, ...]:
        """Return how much each source counts in a tensor."""
        if self._restored and layer_of(name) in self._restored:
            return (1.0, *(0.0 for _ in self.sources[1:]))
        return self.weights


def average_models(sources: Sequence[str | Source], weights: Sequence[float] | None = None) -> Mixture:
    """Return the mean of models: a uniform soup (arXiv 2203.05482), or one with weights.

    Args:
        sources: two or more names or sources, of one pre-trained start.
        weights: how much each counts, at least 0, scaled to a sum of 1; None for all alike.

    Raises:
        ConfigError: there is no such model, or the weights are not allowed.
    """
    if len(sources) < 2:
        raise ConfigError(f"An average is of two models or more, and {len(sources)} was named.")
    given = [1.0] * len(sources) if weights is None else [*map(float, weights)]
    if len(given) != len(sources):
        raise ConfigError(f"{len(given)} weights were given for {len(sources)} models; write one for each.")
    if not all(math.isfinite(each) and each >= 0 for each in given) or not sum(given):
        raise ConfigError(f"Weights were given as {given}; write numbers of at least 0, and one above it.")
    scaled = tuple(each / sum(given) for each in given)
    return Mixture("average", _locate(sources), scaled, parameters={"weights": [*given]} if weights else {})


def interpolate_models(base: str | Source, run: str | Source, weight: float) -> Mixture:
    """Return (1 - weight) base + weight run (WiSE-FT, arXiv 2109.01903).

    Args:
        base: what the run was trained from; where the run is an adapter, the model under it or another adapter.
        run: the trained model.
        weight: of the run, 0 the base and 1 the run; beyond them it extrapolates.

    Raises:
        ConfigError: there is no such model, or the weight is no number.
    """
    if not math.isfinite(weight):
        raise ConfigError(f"The weight was given as {weight}; write a number, 0 for the base and 1 for the run.")
    sources = _locate([base, run])
    return Mixture("interpolate", sources, (1.0 - weight, weight), template=1, parameters={"weight": weight})


def restore_layers(base: str | Source, run: str | Source, layers: Sequence[int]) -> Mixture:
    """Return the run with some whole layers put back to the base's (Selective Layer Restoration, arXiv 2602.06665).

    What lies beside the layers (embeddings, the last norm, the head) stays the run's.

    Args:
        base: what the run was trained from.
        run: the trained model.
        layers: numbers of layers, from 0.

    Raises:
        ConfigError: there is no such model, or no layer is named.
    """
    if not layers:
        raise ConfigError("No layer is named to be restored; write for example --layers 0:3 for the first three.")
    chosen = tuple(sorted({*layers}))
    sources = _locate([base, run])
    return Mixture("restore", sources, (0.0, 1.0), template=1, layers=chosen, parameters={"layers": [*chosen]})


def _locate(sources: Sequence[str | Source]) -> tuple[Source, ...]:
    return tuple(each if isinstance(each, Source) else locate_source(each) for each in sources)
