"""Models sampled at several temperatures: which runs are one, their points in the plane, and their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlkit.report.columns import Column
from rlkit.report.combined import Report
from rlkit.report.layout import cell_text, numbers, run_row
from rlkit.report.load import Run
from rlkit.report.markup import Markup
from rlkit.report.plane import Point


def find_sweeps(runs: Sequence[Run]) -> list[list[int]]:
    """Return the slots of each model that was named at two temperatures or more, by rising temperature.

    Evaluations of other numbers of samples are not joined: coverage grows with that number.
    """
    models: dict[tuple[str, int | None], list[int]] = {}
    for slot, run in enumerate(runs):
        if run.temperature is not None:
            models.setdefault((run.model.identity, run.report.get("n")), []).append(slot)
    sweeps = [sorted(slots, key=lambda slot: runs[slot].temperature or 0.0) for slots in models.values()]
    return [slots for slots in sweeps if len({runs[slot].temperature for slot in slots}) > 1]


def plane_points(report: Report, quality: Column, diversity: Column) -> tuple[list[Point], list[list[Point]]]:
    """Return every point of the plane, the reference's first, and the lines that join one model's temperatures."""
    sweeps = find_sweeps(report.runs)
    swept = {slot for sweep in sweeps for slot in sweep}
    mains = [
        _point(slot, run, quality, diversity, bool(run.others) or slot in swept, False)
        for slot, run in enumerate(report.runs)
    ]
    further = [
        [_point(slot, other, quality, diversity, True, True) for other in run.others]
        for slot, run in enumerate(report.runs)
    ]
    fronts = [[point for slot in sweep for point in mains if point and point.slot == slot] for sweep in sweeps]
    for main, others in zip(mains, further, strict=True):
        known = [point for point in (main, *others) if point]
        if others:
            fronts.append(sorted(known, key=lambda point: point.temperature or 0.0))
    points = [point for point in (*mains, *(each for others in further for each in others)) if point]
    return points, fronts


def temperatures_table(report: Report, columns: Sequence[Column]) -> Markup | None:
    """Return the headline's numbers of every model at every temperature; None where each has one."""
    if not any(run.others for run in report.runs):
        return None
    return numbers(["Run", "T", *(column.title for column in columns)], _rows(report, columns))


def _rows(report: Report, columns: Sequence[Column]) -> Iterator[Markup]:
    for slot, run in enumerate(report.runs):
        for each in sorted((run, *run.others), key=lambda one: one.temperature or 0.0):
            texts = (cell_text(each.cell(column.key), column.digits) for column in columns)
            yield run_row(report, slot, [f"{each.temperature:g}", *texts])


def _point(slot: int, run: Run, quality: Column, diversity: Column, has_others: bool, is_minor: bool) -> Point | None:
    accuracy, spread = run.cell(quality.key), run.cell(diversity.key)
    if accuracy is None or spread is None:
        return None
    return Point(slot, run.name, accuracy, spread, run.temperature if has_others else None, is_minor)
