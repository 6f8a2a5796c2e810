"""What forward passes measure: summed on each rank, put together over passes, and exchanged between ranks once."""

from __future__ import annotations

from typing import Any

import torch


class Statistics:
    """Means over tokens, extremes, and sums of some passes; all ranks must hold the same names before they reduce."""

    def __init__(self) -> None:
        self._totals: dict[str, torch.Tensor] = {}
        self._lows: dict[str, list[torch.Tensor]] = {}
        self._highs: dict[str, list[torch.Tensor]] = {}
        self._sums: dict[str, torch.Tensor] = {}

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

    def add_sum(self, name: str, value: torch.Tensor) -> None:
        """Add to a sum of this rank, which is not logged by itself; see `sum_of`."""
        self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value.detach()

    def sum_of(self, name: str) -> torch.Tensor | None:
        """Return a sum of this rank; None where nothing was added."""
        return self._sums.get(name)

    def names_of_sums(self, prefix: str) -> list[str]:
        """Return the names of sums that begin so, sorted."""
        return sorted(name for name in self._sums if name.startswith(prefix))

    def merge(self, other: Statistics) -> None:
        """Take in what another pass measured."""
        for mine, theirs in ((self._totals, other._totals), (self._sums, other._sums)):
            for name, total in theirs.items():
                mine[name] = mine[name] + total if name in mine else total
        for kept, given in ((self._lows, other._lows), (self._highs, other._highs)):
            for name, values in given.items():
                kept.setdefault(name, []).extend(values)

    def reduce(self, accelerator: Any) -> dict[str, float]:
        """Return means and extremes over all ranks, NaN where there is nothing to them; a collective."""
        if not self._totals:
            return {}
        names = sorted(self._totals)
        totals_N2 = accelerator.reduce(torch.stack([self._totals[name] for name in names]), reduction="sum")
        means = {name: (total / count).item() for name, (total, count) in zip(names, totals_N2, strict=True)}
        return means | self._reduce_extremes(accelerator)

    def _reduce_extremes(self, accelerator: Any) -> dict[str, float]:
        kinds = [(name, values, 1.0) for name, values in self._lows.items()]
        kinds += [(name, values, -1.0) for name, values in self._highs.items()]
        if not kinds:
            return {}
        kinds.sort(key=lambda kind: kind[0])
        # Negated, a maximum is a minimum too, so that one exchange does.
        local_N = torch.stack([_smallest(torch.cat(values) * sign) for _, values, sign in kinds])
        lowest_N = accelerator.gather(local_N.unsqueeze(0)).amin(dim=0)
        return {
            name: value * sign if abs(value) != float("inf") else float("nan")
            for (name, _, sign), value in zip(kinds, lowest_N.tolist(), strict=True)
        }


def _smallest(values_N: torch.Tensor) -> torch.Tensor:
    known_N = values_N[~values_N.isnan()]
    return known_N.min() if len(known_N) else torch.tensor(torch.inf, device=values_N.device)
