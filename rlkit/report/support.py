"""The section on single problems: success of each on reference and run, and which were gained and lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlkit.report.cells import finite_or_none, format_number, format_signed
from rlkit.report.combined import Report
from rlkit.report.frame import run_class, swatch
from rlkit.report.layout import figure, head_row, numbers, run_row, section
from rlkit.report.markup import Children, Markup, tag
from rlkit.report.scatter import QUARTERS, draw_scatter, find_places, links, places_table

MAX_LINKS = 100
MAX_PANELS = 8
"""Runs whose problems are drawn."""
PARTS = ("both", "gained", "lost", "neither")
TITLES = ("Run", "Both", "Gained", "Lost", "Neither", "SRR", "NDR", "NSCR", "McNemar p")


def support_section(report: Report) -> Markup | None:
    """Return a panel per run and the table of solved problems; None for a single run or without counts per problem."""
    if len(report.runs) < 2 or not report.runs[0].problems:
        return None
    drawn = range(1, min(len(report.runs), MAX_PANELS + 1))
    panels = [panel for slot in drawn if (panel := _panel(report, slot))]
    caption = (
        f"Each mark is a problem, or several where they coincide (the larger, the more); below the diagonal are those "
        f"that a run solves less often than {report.names[0]}. ▼ lost: no sample of the run is correct any more; "
        "▲ gained. A mark opens its problems in the sample browser."
    )
    if len(report.runs) > len(drawn) + 1:
        caption += f" Of {len(report.runs) - 1} runs the first {len(drawn)} are drawn."
    head = tag("p", caption, class_="caption")
    return section("problems", "Problem by problem", head, tag("div", panels, class_="panels"), _table(report))


def supports(report: Report) -> dict[int, Mapping[str, Any]]:
    """Return the support table of each run against the reference, by slot, where there is one."""
    found = {slot: report.comparison(slot).get("support") for slot in range(1, len(report.runs))}
    return {slot: table for slot, table in found.items() if table}


def _panel(report: Report, slot: int) -> Markup | None:
    reference, run = report.runs[0], report.runs[slot]
    places = find_places(reference.problems, run.problems)
    if not places:
        return None
    rows = (
        tag("tr", tag("th", first, scope="row"), (tag("td", text, class_="number") for text in texts))
        for first, *texts in places_table(places)
    )
    return tag(
        "figure",
        tag("figcaption", tag("h3", swatch(slot), " ", run.name)),
        draw_scatter(f"scatter-{slot}", places, slot, (reference.name, run.name), bool(report.browsed.problems)),
        numbers([f"{reference.name} ↓ {run.name} →", *QUARTERS], rows),
        class_=run_class(slot, "panel"),
    )


def _table(report: Report) -> Markup | None:
    tables = supports(report)
    if not tables:
        return None
    rows = [run_row(report, slot, support_texts(table)) for slot, table in tables.items()]
    table = tag("table", tag("thead", head_row(TITLES)), tag("tbody", rows), class_="support")
    caption = (
        "A problem is solved where at least one sample is correct. SRR: share of what the reference solves that the "
        "run solves too. NDR: share of what the run solves that is new. NSCR: gained minus lost over all solved, below "
        "0 where support shrank. McNemar p: chance of so unequal gains and losses if both were equally likely."
    )
    bars = tag("div", (_bar(report, slot, found) for slot, found in tables.items()), class_="support-bars")
    lists = tag("div", (_lists(report, slot, found) for slot, found in tables.items()), class_="support-lists")
    return figure(
        "What the runs can solve at all", caption, bars, tag("div", table, class_="scroll", tabindex="0"), lists
    )


def support_texts(table: Mapping[str, Any]) -> list[str]:
    """Return one row of the table as text, in the order of `TITLES`."""
    nscr, p_value = finite_or_none(table.get("nscr")), finite_or_none(table.get("mcnemar_p"))
    return [
        *(str(table.get(part, "–")) for part in PARTS),
        *(format_number(finite_or_none(table.get(share)), 3) for share in ("srr", "ndr")),
        "undefined" if nscr is None else format_signed(nscr, 3),
        describe_p(p_value),
    ]


def describe_p(p_value: float | None) -> str:
    """Return a p-value with three digits, small ones as a bound."""
    if p_value is None:
        return "undefined"
    return "< 0.001" if p_value < 0.001 else format_number(p_value, 3)


def _bar(report: Report, slot: int, table: Mapping[str, Any]) -> Markup:
    total = sum(int(table.get(part) or 0) for part in PARTS) or 1
    shares = {part: int(table.get(part) or 0) for part in PARTS}
    segments = (
        tag(
            "span",
            f"{part} {count}" if count / total > 0.18 else "",
            class_=f"segment {part}",
            style=f"flex-grow:{count}",
            title=f"{part} {count}",
        )
        for part, count in shares.items()
        if count
    )
    name = tag("span", swatch(slot), " ", report.names[slot], class_="name")
    return tag("div", name, tag("span", segments, class_="segments"), class_=run_class(slot, "support-bar"))


def _lists(report: Report, slot: int, table: Mapping[str, Any]) -> list[Markup]:
    sure = {"lost": table.get("lost_at_threshold_ids") or [], "gained": table.get("gained_at_threshold_ids") or []}
    return [
        tag(
            "details",
            tag("summary", _summary(report.names[slot], kind, ids, sure[kind])),
            _listed(ids, bool(report.browsed.problems)),
        )
        for kind in ("lost", "gained")
        if (ids := table.get(f"{kind}_ids") or [])
    ]


def _summary(name: str, kind: str, ids: Sequence[str], sure: Sequence[str]) -> str:
    problems = f"{len(ids)} problem{'' if len(ids) == 1 else 's'}"
    return f"{name} {kind} {problems}" + (f", {len(sure)} of them beyond doubt" if sure else "")


def _listed(ids: Sequence[str], is_linked: bool) -> Children:
    rest = len(ids) - MAX_LINKS
    more = f"and {rest} more: all are in the JSON file beside this page." if rest > 0 else None
    return [links(ids[:MAX_LINKS], is_linked), tag("p", more, class_="caption") if more else None]
