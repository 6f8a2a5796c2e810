"""The section with a few problems: which run gives which solution how often, and completions side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlkit.report.combined import Report
from rlkit.report.exhibits import Exhibit, Group
from rlkit.report.frame import run_class, swatch
from rlkit.report.markup import Markup, join, tag

MAX_SOLUTIONS = 12
MAX_CHARACTERS = 1500


def exhibits_section(report: Report) -> Markup | None:
    """Return one card per chosen problem; None when no samples could be read."""
    shown = [exhibit for exhibit in report.exhibits if any(group.num_samples for group in exhibit.groups)]
    if not shown:
        return None
    caption = (
        "Problems chosen from the counts alone, by the rule each one names. Rows are distinct solutions, columns are runs, "
        "numbers say how many of a run's samples gave that solution."
    )
    return tag(
        "section",
        tag("h2", "The same problem, side by side", id="exhibits"),
        tag("p", caption, class_="caption"),
        [_exhibit(report, exhibit) for exhibit in shown],
        aria_labelledby="exhibits",
    )


def prompt_text(prompt: Any) -> str:
    """Return a prompt as text; of a chat the last user message."""
    if isinstance(prompt, list):
        users = [m.get("content") or "" for m in prompt if isinstance(m, dict) and m.get("role") == "user"]
        return str(users[-1]) if users else ""
    return "" if prompt is None else str(prompt)


def _exhibit(report: Report, exhibit: Exhibit) -> Markup:
    return tag(
        "article",
        tag("h3", exhibit.reason),
        tag("p", tag("span", f"Problem {exhibit.problem_id}", class_="quiet"), _found(exhibit), class_="caption"),
        tag("pre", _clip(prompt_text(exhibit.prompt)), class_="prompt", tabindex="0") if exhibit.prompt else None,
        tag("div", _matrix(report, exhibit), class_="scroll", tabindex="0"),
        tag("details", tag("summary", "Completions"), _completions(report, exhibit)),
        class_="card exhibit",
    )


def _found(exhibit: Exhibit) -> str:
    found = len(exhibit.solutions)
    if exhibit.num_solutions:
        return f" · {found} of {exhibit.num_solutions} possible solutions found by some run"
    return f" · {found} distinct solutions found by some run"


def _matrix(report: Report, exhibit: Exhibit) -> Markup:
    head = [tag("th", "Solution", scope="col")]
    head += [tag("th", swatch(i), " ", name, scope="col", class_=run_class(i)) for i, name in enumerate(report.names)]
    solutions = exhibit.solutions
    rows = [_solution_row(exhibit.groups, key) for key in solutions[:MAX_SOLUTIONS]]
    if len(solutions) > MAX_SOLUTIONS:
        rest = solutions[MAX_SOLUTIONS:]
        counts = [sum(g.solutions[key] for key in rest) for g in exhibit.groups]
        rows.append(_row(f"{len(rest)} more solutions", counts, exhibit.groups, "more"))
    rows.append(_row("distinct solutions", [len(g.solutions) for g in exhibit.groups], None, "total"))
    rows.append(_row("wrong", [g.wrong.total() for g in exhibit.groups], exhibit.groups, "wrong"))
    verdicts = sorted({verdict for g in exhibit.groups for verdict in g.wrong})
    rows += [
        _row(f"… {verdict.replace('_', ' ')}", [g.wrong[verdict] for g in exhibit.groups], exhibit.groups, "wrong verdict")
        for verdict in verdicts
    ]
    return tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="matrix")


def _solution_row(groups: Sequence[Group], key: str) -> Markup:
    return _row(tag("code", _clip(key, 120)), [g.solutions[key] for g in groups], groups, "correct")


def _row(label: str, counts: Sequence[int], groups: Sequence[Group] | None, kind: str) -> Markup:
    cells = []
    for i, count in enumerate(counts):
        share = 100 * count / max(groups[i].num_samples, 1) if groups else None
        bar = tag("span", class_="bar", style=f"width:{share:.1f}%") if share else None
        none = " none" if not count else ""
        cells.append(tag("td", tag("span", str(count) if count else "–", class_="count"), bar, class_=run_class(i) + none))
    return tag("tr", tag("th", label, scope="row"), cells, class_=kind)


def _completions(report: Report, exhibit: Exhibit) -> Markup:
    columns = [
        tag("div", tag("h4", swatch(i), " ", name), _classes(exhibit, group), class_=run_class(i, "completions"))
        for i, (name, group) in enumerate(zip(report.names, exhibit.groups, strict=True))
    ]
    return tag("div", tag("div", columns, class_="columns"), class_="scroll", tabindex="0")


def _classes(exhibit: Exhibit, group: Group) -> Markup:
    right = [(key, group.solutions[key], "correct") for key in exhibit.solutions if group.solutions[key]]
    right.sort(key=lambda item: -item[1])
    wrong = [(key, count, key) for key, count in group.wrong.most_common()]
    items = [*right[:MAX_SOLUTIONS], *wrong]
    return join(
        tag(
            "div",
            tag("p", tag("strong", f"{count} ×"), " ", verdict.replace("_", " "), class_="caption"),
            tag("pre", _clip(group.examples.get(key, ""))),
            class_="completion is-correct" if verdict == "correct" else "completion is-wrong",
        )
        for key, count, verdict in items
    )


def _clip(text: str, limit: int = MAX_CHARACTERS) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit} more characters)"
