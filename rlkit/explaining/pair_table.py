"""The words and the table of `rlkit partition`: how well judgements of pairs agree with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlkit.terminal import plain

if TYPE_CHECKING:
    from rich.table import Table


def warnings_of(measured: Mapping[str, Any]) -> list[str]:
    """Return what a reader of a fit's numbers must know, as sentences."""
    bound, recall = measured["max_false_merge"], measured["held_out"]["recall"]["value"]
    different = measured["calibration"]["true_different"] + measured["calibration"]["false_same"]
    needed, warnings = measured["pairs_needed"], []
    if needed is not None and different < needed:
        warnings.append(
            f"the bound of {bound:g} holds on the {different} different pairs of the calibration part; to be sure of "
            f"it (95 % upper limit) takes {needed} of them without a mistake."
        )
    if recall is not None and recall < 0.5:
        warnings.append(
            f"the threshold finds only {recall:.0%} of the same pairs; raise --max-false-merge, label more pairs, or "
            "try another embedding."
        )
    return warnings


def build_table(columns: Mapping[str, Mapping[str, Any]], group_size: int) -> Table:
    """Return scores of pairs as a table, one quantity a row, one set of scores a column."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, header_style="bold", padding=(0, 1, 0, 0))
    table.show_header = len(columns) > 1
    table.add_column(no_wrap=True)
    for heading in columns:
        table.add_column(plain(heading), justify="right", no_wrap=True)
    rows = {
        "threshold on P(same)": "threshold",
        "pairs": "num_pairs",
        "accuracy": "accuracy",
        "precision of same": "precision",
        "recall of same": "recall",
        "false-positive rate": "false_positive_rate",
        f"false merge, {group_size} different": "false_merge",
        "calibration error": "calibration_error",
        "same, judged same": "true_same",
        "same, judged different": "false_different",
        "different, judged same": "false_same",
        "different, judged different": "true_different",
    }
    for heading, key in rows.items():
        if all(key in scores for scores in columns.values()):
            table.add_row(heading, *(_cell_text(scores[key]) for scores in columns.values()))
    table.caption = plain("Brackets are 95 % Wilson intervals over pairs.")
    table.caption_justify = "left"
    return table


def _cell_text(cell: Any) -> str:
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        return f"{cell:.3f}"
    if cell["value"] is None:
        return "undefined"
    return f"{cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
