"""One number of a report: a value, its 95 % interval and over how many problems it is defined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """A mean over problems; `value`, `low` and `high` are None where it is undefined, never a silent 0."""

    value: float | None
    low: float | None = None
    high: float | None = None
    num_defined: int = 0
    num_total: int = 0

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return self.low is not None and self.high is not None

    @property
    def direction(self) -> str:
        """Where a difference's interval lies: `up` (above 0), `down` (below 0) or `unclear` (covers 0, unknown)."""
        if self.low is not None and self.low > 0:
            return "up"
        if self.high is not None and self.high < 0:
            return "down"
        return "unclear"

    def as_json(self) -> dict[str, float | int | None]:
        """Return the same shape as a cell of report.json, with null for undefined."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "num_defined": self.num_defined,
            "num_total": self.num_total,
        }


def read_cell(record: Any) -> Cell | None:
    """Return the Cell of a report.json entry (a mapping, or a bare number); None when there is no entry at all."""
    if record is None:
        return None
    if not isinstance(record, Mapping):
        value = finite_or_none(record)
        return Cell(value, num_defined=int(value is not None), num_total=1)
    return Cell(
        value=finite_or_none(record.get("value")),
        low=finite_or_none(record.get("low")),
        high=finite_or_none(record.get("high")),
        num_defined=int(record.get("num_defined") or 0),
        num_total=int(record.get("num_total") or 0),
    )


def finite_or_none(value: Any) -> float | None:
    """Return a finite float, or None for anything else (None, NaN, infinities, text, booleans)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def format_number(value: float | None, digits: int) -> str:
    """Return a fixed-point number with a typographic minus; `undefined` for None."""
    return "undefined" if value is None else _fixed(value, digits).replace("-", MINUS)


def format_signed(value: float, digits: int) -> str:
    """Return a number that always carries its sign, except for what rounds to zero."""
    text = _fixed(value, digits)
    return text.replace("-", MINUS) if float(text) <= 0 else f"+{text}"


def format_interval(cell: Cell, digits: int, signed: bool = False) -> str:
    """Return `low - high` with an en dash, `[low, high]` for signed numbers, or "" when there is no interval."""
    if cell.low is None or cell.high is None:
        return ""
    if signed:
        return f"[{format_signed(cell.low, digits)}, {format_signed(cell.high, digits)}]"
    separator = f"{EN_DASH}" if cell.low >= 0 else f" {EN_DASH} "
    return separator.join(format_number(end, digits) for end in (cell.low, cell.high))


def format_undefined(cell: Cell) -> str:
    """Say of how many problems an undefined number is defined."""
    return f"undefined ({cell.num_defined} of {cell.num_total})"


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text
