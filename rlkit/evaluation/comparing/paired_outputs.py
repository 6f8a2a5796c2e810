"""The outputs of two evaluations as wholes: which form they have, how far it moved, and diversity across prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rlkit.diversity import js_divergence
from rlkit.evaluation.comparing.pairing import Pairing


def compare_outputs(pairing: Pairing) -> dict[str, Any]:
    """Return the formats of both, and diversity across prompts where both took it over equally many prompts.

    Returns:
        `{"formats": {"a", "b", "drift", "dominant_a", "dominant_b"}, "across_prompts": {measure: {"a", "b",
        "difference"}}}`: shares of formats; their Jensen-Shannon divergence, from 0 to ln 2; the share of the most
        frequent one. Both are over all problems of each evaluation, without intervals; empty where a report lacks them.
    """
    base, run = ((report.get("diversity") or {}) for report in (pairing.report_base, pairing.report_run))
    return {"formats": _formats(base, run), "across_prompts": _across_prompts(base, run)}


def _formats(base: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    a, b = ((side.get("formats") or {}) for side in (base, run))
    if not a.get("shares") or not b.get("shares"):
        return {}
    drift = js_divergence(a["shares"], b["shares"])
    return {
        "a": dict(a["shares"]),
        "b": dict(b["shares"]),
        "drift": None if math.isnan(drift) else drift,
        "dominant_a": a.get("dominant_share"),
        "dominant_b": b.get("dominant_share"),
    }


def _across_prompts(base: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    # Most measures grow with the number of prompts, so another number is another quantity.
    if (base.get("settings") or {}) != (run.get("settings") or {}):
        return {}
    a, b = ((side.get("cross_input") or {}) for side in (base, run))
    return {
        name: {"a": a[name], "b": b[name], "difference": b[name] - a[name]}
        for name in a
        if a[name] is not None and b.get(name) is not None
    }
