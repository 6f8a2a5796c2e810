"""Training curves out of `train_log.jsonl`: which series are shown, what they are called, and a smoothed version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlkit.report.cells import finite_or_none

_TITLES = {
    "reward": "Mean reward",
    "entropy": "Token entropy (nats)",
    "diversity/pass_at_g": "Groups with a correct completion",
    "diversity/distinct_correct": "Distinct correct solutions per group",
    "kl": "KL to the reference model (nats per token)",
    "completions/mean_length": "Completion length (tokens)",
}
_ALIASES = {"pass_at_g": "diversity/pass_at_g", "distinct_correct": "diversity/distinct_correct"}
_LAST = ("kl", "completions/mean_length")


@dataclass(frozen=True)
class Training:
    """The log of one training run, by column."""

    directory: Path
    steps: list[float]
    series: dict[str, list[float | None]]
    """Values by key, aligned with `steps`; None where a line had no finite number."""
    status: str | None = None
    """`running`, `finished`, `interrupted`, `failed`, or None when run.json says nothing."""

    def summary(self) -> dict[str, object]:
        """Return steps, status, and the first and last value (means over a tenth of the log) of each shown series."""
        tails = {key: _ends(values) for key, values in self.series.items()}
        return {"status": self.status, "steps": self.steps[-1] if self.steps else None, "series": tails}


def read_training(directory: Path) -> Training | None:
    """Read `train_log.jsonl` and `run.json` of a run directory; None when there is no log.

    A line cut short by a kill, and lines without a step, are skipped.
    """
    log = directory / "train_log.jsonl"
    if not log.is_file():
        return None
    rows: dict[float, dict[str, object]] = {}
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            row = _parse(line)
            step = finite_or_none(row.get("step"))
            if step is not None:
                rows.setdefault(step, {}).update(row)
    steps = sorted(rows)
    keys = shown_keys([key for step in steps for key in rows[step]])
    series = {key: [_value(rows[step], key) for step in steps] for key in keys}
    series = {key: values for key, values in series.items() if any(value is not None for value in values)}
    return Training(directory, steps, series, status=_read_status(directory / "run.json"))


def shown_keys(keys: Sequence[str]) -> list[str]:
    """Return the series a report shows out of all logged keys, known ones first, without repeats."""
    present = {_ALIASES.get(key, key) for key in keys}
    known = [key for key in _TITLES if key in present and key not in _LAST]
    others = sorted(key for key in present if key.startswith("diversity/") and key not in _TITLES)
    return known + others + [key for key in _LAST if key in present]


def series_title(key: str) -> str:
    """Return a title in words for a logged key."""
    words = key.removeprefix("diversity/").replace("_", " ").replace("/", " ")
    return _TITLES.get(key, words[:1].upper() + words[1:])


def smooth(values: Sequence[float | None], window: int) -> list[float | None]:
    """Return centred moving averages over up to `window` neighbours; None stays None and is not averaged over."""
    reach = window // 2
    result: list[float | None] = []
    for i, value in enumerate(values):
        near = [v for v in values[max(0, i - reach) : i + reach + 1] if v is not None]
        result.append(None if value is None else sum(near) / len(near))
    return result


def smoothing_window(num_points: int) -> int:
    """Return an odd window of about a tenth of the log; 1 (no smoothing) for short logs."""
    return 1 if num_points < 20 else num_points // 20 * 2 + 1


def _ends(values: Sequence[float | None]) -> dict[str, float]:
    defined = [value for value in values if value is not None]
    count = max(1, len(defined) // 10)
    return {"first": sum(defined[:count]) / count, "last": sum(defined[-count:]) / count}


def _value(row: dict[str, object], key: str) -> float | None:
    given = [name for name, alias in _ALIASES.items() if alias == key]
    return next((v for v in (finite_or_none(row.get(name)) for name in [key, *given]) if v is not None), None)


def _parse(line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return row if isinstance(row, dict) else {}


def _read_status(path: Path) -> str | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    status = record.get("status") if isinstance(record, dict) else None
    return status if isinstance(status, str) else None
