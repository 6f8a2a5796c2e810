"""The sample browser: the frame that browser.js fills from the JSON beside it."""

from __future__ import annotations

from typing import Any

from rlkit.report.browsed import BUDGET, MAX_CLASSES
from rlkit.report.combined import Report
from rlkit.report.frame import colour, swatch
from rlkit.report.layout import section
from rlkit.report.markup import Markup, tag


def browser_section(report: Report) -> Markup | None:
    """Return the section; None when no samples could be read."""
    browsed = report.browsed
    if not browsed.problems:
        return None
    search = tag(
        "input", type="search", id="browse-search", placeholder="id or words of the prompt", autocomplete="off"
    )
    choice = tag("select", (tag("option", text, value=value) for value, text in _filters(report)), id="browse-filter")
    controls = tag(
        "div",
        tag("label", "Find ", search, for_="browse-search"),
        tag("label", "Show ", choice, for_="browse-filter"),
        tag("span", class_="quiet", id="browse-count", role="status"),
        class_="browse-controls",
    )
    swatches = tag("div", (swatch(i) for i in range(len(report.runs))), id="browse-swatches", hidden=True)
    panes = tag(
        "div",
        tag("ul", id="browse-list", aria_label="Problems"),
        tag("div", id="browse-problem", tabindex="-1", aria_live="polite"),
        class_="browse card",
    )
    return section(
        "browse",
        "Browse the samples",
        tag("p", _caption(report), class_="caption"),
        tag("noscript", tag("p", "The browser needs scripts; the problems above do not.", class_="caption")),
        tag("div", controls, panes, swatches, class_="browser"),
    )


def browser_json(report: Report) -> dict[str, Any]:
    """Return what the script shows: runs and problems."""
    runs = [{"name": name, "colour": colour(i)} for i, name in enumerate(report.names)]
    return {"runs": runs, "problems": report.browsed.problems}


def _caption(report: Report) -> str:
    browsed = report.browsed
    shown = len(browsed.problems)
    kept = (
        f"All {shown} problems"
        if shown == browsed.num_problems
        else f"{shown} of {browsed.num_problems} problems (lost, gained and most changed ones first, as far as "
        f"{BUDGET / 1e6:g} MB hold them)"
    )
    return (
        f"{kept}, with every run's completions grouped by class: how many there are, and the first one of each. "
        f"At most {MAX_CLASSES} classes a run are listed and texts end after {browsed.text_limit} characters; "
        "samples.jsonl of each evaluation has everything."
    )


def _filters(report: Report) -> list[tuple[str, str]]:
    counts: dict[str, int] = {}
    for problem in report.browsed.problems:
        for mark in problem["tags"]:
            counts[mark] = counts.get(mark, 0) + 1
    names = {f"{kind}-{i}": f"{kind} by {name}" for kind in ("lost", "gained") for i, name in enumerate(report.names)}
    names |= {"all-wrong": "always wrong in every run", "all-right": "always right in every run"}
    marked = [(mark, f"{text} ({counts[mark]})") for mark, text in names.items() if mark in counts]
    changed = [("changed", "most changed first")] if len(report.runs) > 1 else []
    return [("", f"all ({len(report.browsed.problems)})"), *changed, *marked]
