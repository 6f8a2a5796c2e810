"""Means over the tokens of an update, summed on each rank and exchanged once."""

from __future__ import annotations

from typing import Any

import torch


class Meters:
    """Collects what an update logs; all ranks must add the same names before they flush."""

    def __init__(self) -> None:
        self._totals: dict[str, torch.Tensor] = {}
        self._lows: dict[str, list[torch.Tensor]] = {}
        self._highs: dict[str, list[torch.Tensor]] = {}

    def add(self, name: str, values_BT: torch.Tensor, mask_BT: torch.Tensor) -> None:
        """Add values whose mean over the tokens of the mask will be logged; (B, 1) counts once a completion."""
        with torch.no_grad():
            if values_BT.size(1) == 1 and mask_BT.size(1) != 1:
                mask_BT = (mask_BT != 0).any(dim=1, keepdim=True)
            mask_BT = mask_BT.to(torch.float32)
            # Padding may hold anything, NaN included.
            kept_BT = values_BT.detach().float().masked_fill(mask_BT == 0, 0)
            total = torch.stack([(kept_BT * mask_BT).sum(), mask_BT.sum()])
        self._totals[name] = self._totals.get(name, torch.zeros_like(total)) + total

    def add_low(self, name: str, values_N: torch.Tensor) -> None:
        """Add values of which the smallest will be logged."""
        self._lows.setdefault(name, []).append(values_N.detach().float().flatten())

    def add_high(self, name: str, values_N: torch.Tensor) -> None:
        """Add values of which the largest will be logged."""
        self._highs.setdefault(name, []).append(values_N.detach().float().flatten())

    def flush(self, trainer: Any) -> dict[str, float]:
        """Record everything with the trainer and return the means, NaN where no token counts; a collective."""
        if not self._totals:
            return {}
        names = sorted(self._totals)
        totals_N2 = trainer.accelerator.reduce(torch.stack([self._totals[name] for name in names]), reduction="sum")
        means = {name: (total / count).item() for name, (total, count) in zip(names, totals_N2, strict=True)}
        for name, mean in means.items():
            trainer.record(name, mean)
        self._flush_extremes(trainer)
        return means

    def _flush_extremes(self, trainer: Any) -> None:
        kinds = [(name, values, 1.0) for name, values in self._lows.items()]
        kinds += [(name, values, -1.0) for name, values in self._highs.items()]
        if not kinds:
            return
        kinds.sort(key=lambda kind: kind[0])
        # Negated, a maximum is a minimum too, so that one exchange does.
        local_N = torch.stack([_smallest(torch.cat(values) * sign) for _, values, sign in kinds])
        lowest_N = trainer.accelerator.gather(local_N.unsqueeze(0)).amin(dim=0)
        for (name, _, sign), value in zip(kinds, lowest_N.tolist(), strict=True):
            trainer.record(name, value * sign if abs(value) != float("inf") else float("nan"))


def _smallest(values_N: torch.Tensor) -> torch.Tensor:
    known_N = values_N[~values_N.isnan()]
    return known_N.min() if len(known_N) else torch.tensor(torch.inf, device=values_N.device)
