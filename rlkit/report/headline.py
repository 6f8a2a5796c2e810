"""The top of the page: the verdicts, and the table of numbers with intervals."""

from __future__ import annotations

import math

from rlkit.report.cells import Cell, format_interval, format_number, format_undefined
from rlkit.report.changes import Change, Changes
from rlkit.report.columns import Column
from rlkit.report.combined import Report
from rlkit.report.dots import cells_domain, draw_strip
from rlkit.report.frame import run_class, swatch
from rlkit.report.layout import numbers, run_header, run_row
from rlkit.report.markup import Markup, breakable, tag
from rlkit.report.verdicts import describe_choices, read_verdict, verdict_lines, verdict_mark
from rlkit.report.wording import describe_difference, difference_interval, difference_tone

MOST_CARDS = 9
"""With more runs than this the verdicts are a table, one line a run."""

_DECIDED = ("Run", "Quantity", "Reference", "Run", "Change", "Margin", "Sure of")
_DECIDED_NOTE = (
    "Verdicts: a change counts where its whole interval lies beyond its margin, and none is shown where it lies "
    "within; the intervals of all questions and runs hold at once. The rules are in docs/comparing.md."
)


def headline_section(report: Report) -> Markup:
    """Return a card a run and the headline table."""
    is_comparison = len(report.runs) > 1
    return tag(
        "section",
        tag("h2", "At a glance", id="glance"),
        _against_choice(report) if len(report.references) > 1 else None,
        _cards(report) if is_comparison else None,
        _decided(report) if is_comparison else None,
        tag(
            "div", headline_table(report), class_="scroll framed", tabindex="0", role="region", aria_labelledby="glance"
        ),
        tag("p", _table_notes(report), class_="caption"),
        aria_labelledby="glance",
    )


def headline_table(report: Report) -> Markup:
    """Return one row per run and one column per quantity: value, picture of the interval, difference."""
    head = [tag("th", "Run", scope="col")]
    head += [tag("th", column.title, scope="col", title=column.note, class_="number") for column in report.columns]
    rows = [
        tag("tr", _run_header(report, i), (_cell(report, i, c) for c in report.columns), class_=run_class(i))
        for i in range(len(report.runs))
    ]
    return tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="headline")


def shown_against(reference: int) -> dict[str, object]:
    """Return the attributes of an element that shows only while `reference` is the run compared against."""
    return {"data_against": str(reference), "hidden": reference != 0}


def _decided(report: Report) -> Markup | None:
    """Return the numbers behind the verdicts, folded away."""
    verdicts = {slot: read_verdict(report.comparison(slot)) for slot in range(1, len(report.runs))}
    rows = [
        run_row(report, slot, [quantity, *texts])
        for slot, verdict in verdicts.items()
        if verdict
        for quantity, *texts in verdict.questions
    ]
    if not rows:
        return None
    table = numbers(_DECIDED, rows, "What decided the verdicts")
    note = f"{_DECIDED_NOTE} {describe_choices([report.comparison(slot) for slot in verdicts], report.choices)}"
    return tag("div", table, tag("p", note, class_="caption"))


def _against_choice(report: Report) -> Markup:
    options = [tag("option", name, value=str(i), selected=i == 0) for i, name in enumerate(report.names)]
    return tag(
        "p", tag("label", "Differences against ", for_="against"), tag("select", options, id="against"), class_="choice"
    )


def _cards(report: Report) -> Markup:
    if len(report.runs) > MOST_CARDS:
        return _overview(report)
    cards = (_card(report, i, against) for against in report.references for i in range(len(report.runs)))
    num_cards = len(report.runs) - 1
    num_columns = num_cards if num_cards <= 4 else math.ceil(num_cards / math.ceil(num_cards / 4))
    return tag("ul", cards, class_="readings", style=f"--columns:{num_columns}")


def _overview(report: Report) -> Markup:
    """Return the verdicts on many runs, one line a run; the sentence opens."""
    rows = [_overview_row(report, slot) for slot in range(1, len(report.runs))]
    head = tag("tr", (tag("th", title, scope="col") for title in ("Run", "Verdict")))
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="overview")
    return tag("div", table, class_="scroll framed", tabindex="0", role="region", aria_label="Verdicts")


def _overview_row(report: Report, slot: int) -> Markup:
    verdict = read_verdict(report.comparison(slot))
    said = "none"
    if verdict:
        lines = [tag("p", text) for text in (verdict.sentence, verdict.needed) if text]
        said = tag("details", tag("summary", verdict_mark(verdict)), lines)
    return tag("tr", run_header(report, slot), tag("td", said), class_=run_class(slot))


def _card(report: Report, i: int, against: int) -> Markup | None:
    if i == against:
        return None
    changes = report.changes(i, against)
    verdict = read_verdict(report.comparison(i)) if against == 0 else None
    return tag(
        "li",
        tag("p", swatch(i), tag("strong", breakable(report.names[i])), class_="who"),
        verdict_lines(verdict) if verdict else None,
        tag("table", tag("tbody", (_change_row(change) for change in changes.numbers)), class_="changes"),
        _kept(changes, report.names[against]),
        class_=run_class(i),
        **shown_against(against),
    )


def _kept(changes: Changes, against: str) -> Markup | None:
    if changes.kept is None:
        return None
    bar = tag("span", class_="kept-bar", style=f"width:{100 * min(changes.kept[1], 1.0):.1f}%")
    return tag("p", tag("span", bar, class_="kept-track"), changes.describe_kept(against), class_="kept")


def _change_row(change: Change) -> Markup:
    values = f"{change.before} → {change.after}"
    return tag(
        "tr", tag("th", change.name, scope="row"), tag("td", values), tag("td", change.difference, class_="number")
    )


def _run_header(report: Report, i: int) -> Markup:
    model = str(report.runs[i].report.get("model") or "")
    is_reference = len(report.runs) > 1 and i in report.references
    marks = [tag("span", "reference", class_="badge", **shown_against(i))] if is_reference else []
    return tag("th", swatch(i), " ", breakable(report.names[i]), " ", marks, scope="row", title=model)


def _cell(report: Report, i: int, column: Column) -> Markup:
    cells = [run.cell(column.key) for run in report.runs]
    cell = cells[i]
    if cell is None:
        return tag("td", tag("span", "not measured", class_="quiet"), class_="number")
    if cell.value is None:
        return tag("td", tag("span", format_undefined(cell), class_="undefined"), class_="number")
    strip = draw_strip(i, cell, cells[0], cells_domain(cells, column))
    return tag(
        "td",
        tag("span", format_number(cell.value, column.digits), class_="value"),
        tag("span", format_interval(cell, column.digits), _partial(cell), class_="interval-text"),
        strip,
        (_difference(report, i, j, column) for j in report.references),
        class_="number",
    )


def _partial(cell: Cell) -> str:
    return f" ({cell.num_defined} of {cell.num_total})" if cell.num_defined < cell.num_total else ""


def _difference(report: Report, i: int, against: int, column: Column) -> Markup | None:
    difference = report.difference(i, column, against)
    if difference is None:
        return None
    return tag(
        "span",
        tag(
            "span", describe_difference(column, difference), class_=f"delta tone-{difference_tone(column, difference)}"
        ),
        tag("span", difference_interval(column, difference), class_="interval-text"),
        class_="difference",
        **shown_against(against),
    )


def _table_notes(report: Report) -> str:
    text = "Under each number its 95 % interval over problems"
    text += f", drawn on one scale per column with {report.names[0]} dashed." if len(report.runs) > 1 else "."
    if len(report.runs) > 1:
        text += (
            " Differences are paired by problem: ▲ higher and ▼ lower beyond noise, all columns and runs taken "
            "together, ≈ unclear. What each column means is said at the foot of the page."
        )
    if len(report.references) < len(report.runs):
        text += (
            f" Of so many runs each is compared with {report.names[0]} only; for another reference name its directory "
            "first."
        )
    return text
