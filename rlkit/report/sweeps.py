"""Which of the runs are one model sampled at several temperatures."""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.report.cells import finite_or_none
from rlkit.report.load import Run


def find_sweeps(runs: Sequence[Run]) -> list[list[int]]:
    """Return the slots of each model that was evaluated at two temperatures or more, by rising temperature.

    Evaluations of other numbers of samples are not joined: coverage grows with that number.
    """
    models: dict[tuple[str, int | None], list[int]] = {}
    for slot, run in enumerate(runs):
        if (model := _model(run)) and temperature(run) is not None:
            models.setdefault((model, run.report.get("n")), []).append(slot)
    sweeps = [sorted(slots, key=lambda slot: temperature(runs[slot]) or 0.0) for slots in models.values()]
    return [slots for slots in sweeps if len({temperature(runs[slot]) for slot in slots}) > 1]


def temperature(run: Run) -> float | None:
    """Return the temperature a run was sampled at; None when it is not on record."""
    return finite_or_none((run.report.get("sampling") or {}).get("temperature"))


def _model(run: Run) -> str | None:
    """Return what tells models apart: the fingerprint of the weights, else their name."""
    config = run.config.get("config") or {}
    return str(config.get("model_fingerprint") or run.report.get("model") or "") or None
