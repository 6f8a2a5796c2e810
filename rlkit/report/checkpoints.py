"""Evaluations of successive checkpoints of one run: whether what it solves in many samples has begun to fall."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rlkit.estimators import drop_alarm
from rlkit.report.columns import common_largest_k
from rlkit.report.load import Run

PATIENCE = 2
"""Evaluations in a row that must be below."""
DROP = 0.02
"""Share of its best by which the moving average must be below it."""

_CHECKPOINT = re.compile(r"(?P<run>.*)checkpoint-(?P<step>\d{1,12})(?:/.*)?")


def find_drops(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for every run whose checkpoints fall at the largest k that all have, and have not come back.

    Checkpoints are told by the path of the model, `RUN/checkpoint-STEP`; one run's are a series, in order of step. The
    alarm knows nothing of intervals: what it says is a reason to look at the curve.
    """
    series: dict[str, dict[int, Run]] = {}
    for run in runs:
        if found := _CHECKPOINT.fullmatch(str(run.report.get("model") or "")):
            series.setdefault(found["run"].rstrip("/"), {})[int(found["step"])] = run
    return [said for name, by_step in series.items() if (said := _describe_drop(name, dict(sorted(by_step.items()))))]


def _describe_drop(name: str, by_step: dict[int, Run]) -> str | None:
    k = common_largest_k(list(by_step.values()))
    cells = {step: run.cell(f"pass@{k}") for step, run in by_step.items()}
    values = {step: cell.value for step, cell in cells.items() if cell is not None and cell.value is not None}
    flags = drop_alarm([*values.values()], drop=DROP, patience=PATIENCE)
    if not len(flags) or not flags[-1]:
        return None
    # The alarm waits; the fall began with the first of those that it waited for.
    since = int(np.flatnonzero(~flags)[-1]) + 2 - PATIENCE
    return (
        f"pass@{k} of {name} began to fall at step {list(values)[since]}: the moving average over its {len(flags)} "
        f"checkpoints has been more than {DROP:.0%} below its best since. An earlier checkpoint may solve more."
    )
