"""Success on every problem, the reference's across and a run's up: what moved, one mark per place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.report.frame import Frame, line, run_class
from rlkit.report.markup import Markup, join, tag
from rlkit.report.scales import Scale, shorten

MAX_LISTED = 200
"""Problem ids that one mark can open."""
QUARTERS = ("0", "0–¼", "¼–½", "½–¾", "¾–1", "1")
"""Bands of a share in `places_table`: none, quarters, all."""
_LOST, _GAINED = "M0,5.2L5,-3.8H-5Z", "M0,-5.2L5,3.8H-5Z"


@dataclass(frozen=True)
class Place:
    """Where one or several problems lie: two shares of correct samples, 0 to 1."""

    reference: float
    run: float
    ids: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`lost` (only the reference solves it), `gained` (only the run does), or `kept`."""
        if self.reference > 0 and self.run == 0:
            return "lost"
        return "gained" if self.run > 0 and self.reference == 0 else "kept"


def find_places(reference: Sequence[Mapping[str, Any]], run: Sequence[Mapping[str, Any]]) -> list[Place]:
    """Pair problems by id and gather those that coincide; problems without a graded sample on a side are left out."""
    shares = {problem["id"]: success_rate(problem) for problem in run}
    together: dict[tuple[float, float], list[str]] = {}
    for problem in reference:
        ours, theirs = success_rate(problem), shares.get(problem["id"])
        if ours is not None and theirs is not None:
            together.setdefault((ours, theirs), []).append(problem["id"])
    return [Place(*at, tuple(ids)) for at, ids in sorted(together.items())]


def success_rate(problem: Mapping[str, Any]) -> float | None:
    """Return the share of a problem's graded samples that are correct; None without any."""
    num_samples = problem.get("num_samples") or 0
    return (problem.get("num_correct") or 0) / num_samples if num_samples else None


def draw_scatter(
    chart_id: str, places: Sequence[Place], slot: int, names: tuple[str, str], is_linked: bool = True
) -> Markup:
    """Return the drawing; marks open their problems in the sample browser.

    Args:
        chart_id: of the element.
        places: as `find_places` returns them.
        slot: of the run.
        names: of the reference and of the run.
        is_linked: whether there is a sample browser to open.
    """
    frame = Frame(343, 336, left=44, right=14, top=26, bottom=46)
    x, y = frame.x_scale(-0.03, 1.03), frame.y_scale(-0.03, 1.03)
    ticks, shown = [0.0, 0.25, 0.5, 0.75, 1.0], tuple(shorten(name, 22) for name in names)
    largest_first = sorted(places, key=lambda place: -len(place.ids))
    return frame.svg(
        chart_id,
        f"Success on every problem: {names[1]} against {names[0]}",
        _describe(places, names),
        frame.axes(x, y, ticks, ticks, f"{shown[0]}, share correct →", f"↑ {shown[1]}, share correct", has_x_grid=True),
        line(x(0), y(0), x(1), y(1), class_="reference-line"),
        tag("g", (_mark(place, x, y, is_linked) for place in largest_first), class_=run_class(slot)),
        _notes(x, y),
        class_="scatter",
    )


def _describe(places: Sequence[Place], names: tuple[str, str]) -> str:
    counts = {kind: sum(len(p.ids) for p in places if p.kind == kind) for kind in ("lost", "gained")}
    better = sum(len(p.ids) for p in places if p.run > p.reference)
    worse = sum(len(p.ids) for p in places if p.run < p.reference)
    return (
        f"{better} problems are solved more often by {names[1]}, {worse} more often by {names[0]}; "
        f"{counts['gained']} gained, {counts['lost']} lost"
    )


def _notes(x: Scale, y: Scale) -> Markup:
    def note(text: str, at_x: float, at_y: float, anchor: str = "start", turn: float | None = None) -> Markup:
        transform = None if turn is None else f"rotate({turn:g} {at_x:g} {at_y:g})"
        return tag("text", text, x=at_x, y=at_y, class_="note", text_anchor=anchor, transform=transform)

    return tag(
        "g",
        note("more often", x(0.06), y(0.93)),
        note("less often", x(0.97), y(0.06), "end"),
        note("as often", x(0.8) + 10, y(0.8) + 12, "middle", -math.degrees(math.atan2(y(0) - y(1), x(1) - x(0)))),
        aria_hidden="true",
    )


def _mark(place: Place, x: Scale, y: Scale, is_linked: bool) -> Markup:
    size = _size(len(place.ids))
    at = {"transform": f"translate({x(place.reference):.1f} {y(place.run):.1f}) scale({size:.2f})"}
    shape = (
        tag("circle", r=4.0, class_="dot", **at)
        if place.kind == "kept"
        else tag("path", d=_LOST if place.kind == "lost" else _GAINED, class_=f"dot {place.kind}", **at)
    )
    if not is_linked:
        return tag("g", shape, data_tip=_tip(place))
    ids = json.dumps(place.ids[:MAX_LISTED], separators=(",", ":"))
    # The lists below and the browser's own list are the way by keyboard: hundreds of stops here would bar it.
    return tag(
        "a", shape, href="#browse", data_problems=ids, data_tip=_tip(place), tabindex="-1", aria_label=_tip(place)
    )


def _size(count: int) -> float:
    """Return a scale that makes the area grow with the number of problems, up to where marks would hide others."""
    return min(0.75 * math.sqrt(count), 3.2)


def _tip(place: Place) -> str:
    count = len(place.ids)
    what = place.ids[0] if count == 1 else f"{count} problems ({place.ids[0]}, …)"
    moved = f"{place.reference:.2f} → {place.run:.2f}"
    return f"{what}: {moved}" + ("" if place.kind == "kept" else f", {place.kind}")


def places_table(places: Sequence[Place]) -> list[list[str]]:
    """Return how many problems went from which quarter to which, as rows of text for those who cannot see the marks."""

    def band(share: float) -> int:
        return 0 if share == 0 else 5 if share == 1 else 1 + min(int(share * 4), 3)

    counts = [[0] * len(QUARTERS) for _ in QUARTERS]
    for place in places:
        counts[band(place.reference)][band(place.run)] += len(place.ids)
    return [[QUARTERS[i], *(str(count) if count else "–" for count in row)] for i, row in enumerate(counts)]


def links(ids: Sequence[str], is_linked: bool = True) -> Markup:
    """Return problem ids as a list, of links into the sample browser where there is one."""
    items = (tag("li", tag("a", i, href="#browse", data_problems=json.dumps([i])) if is_linked else i) for i in ids)
    return tag("ul", join(items), class_="ids")
