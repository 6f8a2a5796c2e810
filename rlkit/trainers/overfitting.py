"""Whether what is replayed is learnt by heart: its likelihood goes on rising while that of fresh solutions falls."""

from __future__ import annotations

import math
from statistics import mean, variance
from typing import Any

WINDOW = 10
"""Generation batches that are compared with as many."""
_ERRORS = 5.0
"""Standard errors by which the fresh solutions' likelihood must have fallen; the best of many windows is also luck."""


class OverfittingWatch:
    """Compares the newest batches with those in which fresh solutions were likeliest; speaks once."""

    def __init__(self) -> None:
        self._archived: list[float] = []
        self._pairs: list[list[float]] = []
        self._best: dict[str, float] | None = None
        self._has_spoken = False

    def observe_archived(self, nll: float) -> None:
        """Note the mean negative log-likelihood of archived solutions in an optimizer step; NaN says nothing."""
        if not math.isnan(nll):
            self._archived.append(nll)

    def observe_fresh(self, nll: float) -> str | None:
        """Note that of fresh correct solutions in a new batch, and return a sentence once they drift apart.

        NaN, or a batch before which nothing archived was learnt from, says nothing.
        """
        archived, self._archived = self._archived, []
        if math.isnan(nll) or not archived:
            return None
        self._pairs = [*self._pairs, [mean(archived), nll]][-WINDOW:]
        if len(self._pairs) < WINDOW:
            return None
        fresh = [pair[1] for pair in self._pairs]
        now = {
            "archived": mean(pair[0] for pair in self._pairs),
            "fresh": mean(fresh),
            "error": variance(fresh) / WINDOW,
        }
        best = self._best
        if best is None or now["fresh"] < best["fresh"]:
            self._best = now
            return None
        has_parted = now["fresh"] - best["fresh"] > _ERRORS * math.sqrt(now["error"] + best["error"])
        if self._has_spoken or not has_parted or now["archived"] >= best["archived"]:
            return None
        self._has_spoken = True
        return (
            f"Warning: archived solutions cost {now['archived']:.3f} nats a token, {best['archived']:.3f} before, and "
            f"fresh ones {now['fresh']:.3f}, {best['fresh']:.3f} before: the archive is being learnt by heart. Lower "
            "archive.uses_per_solution or archive.coef, or give it more solutions."
        )

    def to_json(self) -> dict[str, Any]:
        """Return what a continued run needs."""
        return {"archived": self._archived, "pairs": self._pairs, "best": self._best, "spoken": self._has_spoken}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `to_json` was asked."""
        self._archived, self._pairs, self._best = state["archived"], state["pairs"], state["best"]
        self._has_spoken = state["spoken"]
