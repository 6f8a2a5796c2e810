"""What was measured, for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from update.measured import Update

if TYPE_CHECKING:
    from rich.table import Table


def summarise(pairs: Sequence[tuple[Update, Update]]) -> dict[str, Any]:
    """Return medians over pairs of TRL's update and ours: seconds, ratios, forwarded tokens; how gradients differ."""
    ratios = [theirs.seconds / ours.seconds for theirs, ours in pairs]
    cpu_ratios = [theirs.cpu_seconds / ours.cpu_seconds for theirs, ours in pairs]
    differences = [abs(theirs.grad_norm - ours.grad_norm) / max(theirs.grad_norm, 1e-12) for theirs, ours in pairs]
    return {
        "trl_s": statistics.median(theirs.seconds for theirs, _ in pairs),
        "rlkit_s": statistics.median(ours.seconds for _, ours in pairs),
        "pairs_s": [(theirs.seconds, ours.seconds) for theirs, ours in pairs],
        "ratio": _spread(ratios),
        "cpu_ratio": _spread(cpu_ratios),
        "trl_tokens": statistics.median(theirs.tokens for theirs, _ in pairs),
        "rlkit_tokens": statistics.median(ours.tokens for _, ours in pairs),
        "grad_norm_difference": max(differences),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def tabulate_speed(settings: Sequence[dict[str, Any]]) -> Table:
    """Return one row a setting; `tokens` are those of all forward passes, padding included.

    `by CPU time` is the ratio of what all threads worked, which other processes hardly touch.
    """
    table = _begin_table("lengths", "sampler\nlog-probs")
    for title in (
        "no\nsignal",
        "TRL s",
        "rlkit s",
        "times\nfaster",
        "range",
        "by CPU\ntime",
        "tokens\nTRL",
        "tokens\nrlkit",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for row in settings:
        ratio = row["ratio"]
        table.add_row(
            row["lengths"],
            "yes" if row["sampler"] else "no",
            f"{100 * row['zero_share']:.0f} %",
            f"{row['trl_s']:.3g}",
            f"{row['rlkit_s']:.3g}",
            f"{ratio['median']:.2f}",
            f"{ratio['lowest']:.2f}-{ratio['highest']:.2f}",
            f"{row['cpu_ratio']['median']:.2f}",
            f"{row['trl_tokens']:,.0f}",
            f"{row['rlkit_tokens']:,.0f}",
        )
    return table


def tabulate_memory(settings: Sequence[dict[str, Any]]) -> Table:
    """Return one row a setting, in MiB: what a whole process took at most, and what it held between updates."""
    table = _begin_table("lengths", "sampler\nlog-probs")
    for title in ("no\nsignal", "TRL\npeak", "rlkit\npeak", "peak\nrlkit / TRL", "TRL\nheld", "rlkit\nheld"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in settings:
        theirs, ours = row["trl"], row["rlkit"]
        table.add_row(
            row["lengths"],
            "yes" if row["sampler"] else "no",
            f"{100 * row['zero_share']:.0f} %",
            f"{theirs['peak_mib']:,.0f}",
            f"{ours['peak_mib']:,.0f}",
            f"{ours['peak_mib'] / theirs['peak_mib']:.2f}",
            f"{theirs['held_mib']:,.0f}",
            f"{ours['held_mib']:,.0f}",
        )
    return table


def _begin_table(*titles: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for title in titles:
        table.add_column(title)
    return table
