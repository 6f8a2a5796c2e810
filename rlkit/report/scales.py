"""From data to pixels: scales, ticks and labels that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A map from `[low, high]` in data units to `[start, stop]` in pixels, linear or in log2."""

    low: float
    high: float
    start: float
    stop: float
    is_log2: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`; a domain of one point maps to the middle."""
        low, high, at = (math.log2(v) if self.is_log2 else v for v in (self.low, self.high, value))
        if high == low:
            return (self.start + self.stop) / 2
        return self.start + (at - low) / (high - low) * (self.stop - self.start)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers (steps of 1, 2 or 5 times a power of ten) inside `[low, high]`."""
    if not high > low:
        return [low]
    raw_step = (high - low) / max(count, 1)
    magnitude = 10.0 ** math.floor(math.log10(raw_step))
    step = min((m * magnitude for m in (1, 2, 5, 10)), key=lambda s: abs(s - raw_step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def nice_domain(values: Sequence[float], include: Sequence[float] = (), pad: float = 0.04) -> tuple[float, float]:
    """Return a domain that holds `values` and `include` and leaves `pad` of its span free at both ends."""
    everything = [*values, *include]
    if not everything:
        return 0.0, 1.0
    low, high = min(everything), max(everything)
    margin = pad * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def powers_of_two(high: float) -> list[float]:
    """Return 1, 2, 4, ... up to `high`."""
    return [float(2**i) for i in range(int(math.log2(high)) + 1)] if high >= 1 else []


def thin(ks: Sequence[int], limit: int = 160) -> list[int]:
    """Return at most about `limit` of the sorted integers, evenly in log space, first and last always among them."""
    if len(ks) <= limit:
        return list(ks)
    span = math.log(ks[-1] / ks[0])
    targets = [ks[0] * math.exp(span * i / (limit - 1)) for i in range(limit)]
    return sorted({_nearest(ks, target) for target in targets} | {ks[0], ks[-1]})


def _nearest(ks: Sequence[int], target: float) -> int:
    return min(ks, key=lambda k: abs(k - target))


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions apart until neighbours are `gap` away and all lie in `[low, high]`; order is kept.

    Where they do not all fit, the gap shrinks to what does.
    """
    if not positions:
        return []
    gap = min(gap, (high - low) / max(len(positions) - 1, 1))
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[tuple[float, int]] = []  # (centre, members), merged whenever two would overlap
    for i in order:
        centre, members = positions[i], 1
        while True:
            half = (members - 1) * gap / 2
            centre = min(max(centre, low + half), high - half)
            if not blocks or blocks[-1][0] + (blocks[-1][1] - 1) * gap / 2 + gap <= centre - half + 1e-9:
                break
            previous, count = blocks.pop()
            centre = (centre * members + previous * count) / (members + count)
            members += count
        blocks.append((centre, members))
    slots = [centre + (j - (members - 1) / 2) * gap for centre, members in blocks for j in range(members)]
    moved = [0.0] * len(positions)
    for i, slot in zip(order, slots, strict=True):
        moved[i] = slot
    return moved


def shorten(name: str, limit: int) -> str:
    """Return a name of at most `limit` characters; a longer one loses its middle, as both ends tell runs apart."""
    if len(name) <= limit:
        return name
    tail = max((limit - 1) // 2, 1)
    return f"{name[: max(limit - 1 - tail, 1)]}…{name[-tail:]}"
