"""Which numbers the headline shows, what they are called and which way is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkit.report.load import Run


@dataclass(frozen=True)
class Column:
    """One measured quantity."""

    key: str
    """`pass@K` or the name of a metric in report.json."""
    title: str
    short: str
    """A title for narrow places: the terminal."""
    note: str
    """What it is, in one sentence."""
    digits: int = 3
    is_higher_better: bool | None = None
    """None where neither direction is better in itself."""
    limits: tuple[float | None, float | None] = (None, None)
    """Smallest and largest possible value, for axes."""


_METRICS = (
    Column(
        "distinct_correct",
        "Distinct correct solutions",
        "distinct",
        "Different correct solutions per problem among its samples.",
        digits=2,
        is_higher_better=True,
        limits=(0.0, None),
    ),
    Column(
        "solution_coverage",
        "Solution-set coverage",
        "coverage",
        "Share of all distinct solutions of a problem that its samples found.",
        is_higher_better=True,
        limits=(0.0, 1.0),
    ),
    Column(
        "token_entropy",
        "Token entropy (nats)",
        "token entropy",
        "Mean entropy of the next token's distribution, at temperature 1 without truncation.",
        limits=(0.0, None),
    ),
)


def pass_at_column(k: int) -> Column:
    """Return the column of pass@k."""
    which = "one sample" if k == 1 else f"at least one of {k} samples"
    return _at_column("pass", k, f"Chance that {which} is correct.")


def distinct_at_column(k: int) -> Column:
    """Return the column of the expected number of distinct correct solutions among k samples."""
    note = f"Expected number of different correct solutions among {k} samples."
    return _at_column("distinct", k, note, digits=2, highest=None)


def maj_at_column(k: int) -> Column:
    """Return the column of the accuracy of a majority vote over k samples."""
    return _at_column("maj", k, f"Chance that the most frequent answer among {k} samples is correct.")


def cover_at_column(tau: str) -> Column:
    """Return the column of the share of problems solved in at least a share tau (as written in report.json)."""
    note = f"Share of problems of which at least {float(tau):.3g} of the samples are correct."
    return _at_column("cover", tau, note, title=f"cover@{float(tau):.3g}")


def _at_column(
    family: str, at: int | str, note: str, title: str = "", digits: int = 3, highest: float | None = 1.0
) -> Column:
    title = title or f"{family}@{at}"
    return Column(f"{family}@{at}", title, title, note, digits, is_higher_better=True, limits=(0.0, highest))


def headline_ks(largest: int) -> list[int]:
    """Return up to three ks: 1, a middle one (16, or a power of two near the root of small samples), the largest."""
    middle = 16 if largest > 16 else 2 ** (largest.bit_length() // 2)
    return sorted({1, min(middle, largest), largest})


def headline_columns(runs: Sequence[Run]) -> list[Column]:
    """Return the columns: pass@k up to the largest k that all runs have, then the metrics that exist for any of them.

    A metric that is undefined in every run (coverage, where a task knows no solution set) says nothing and is left out.
    """
    passes = [pass_at_column(k) for k in headline_ks(common_largest_k(runs))]
    return passes + [column for column in _METRICS if any(_is_defined(run, column) for run in runs)]


def _is_defined(run: Run, column: Column) -> bool:
    cell = run.cell(column.key)
    return cell is not None and cell.value is not None


def common_largest_k(runs: Sequence[Run]) -> int:
    """Return the largest k for which every run has pass@k."""
    return max(set.intersection(*(set(run.ks) for run in runs)), default=1)


def diversity_column(columns: Sequence[Column]) -> Column | None:
    """Return what diversity is judged by: coverage of the solution set, else distinct correct solutions, else None."""
    by_key = {column.key: column for column in columns}
    return by_key.get("solution_coverage") or by_key.get("distinct_correct")
