"""The section with a few problems: which run gives which solution how often, and completions side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rlkit.report.combined import Report
from rlkit.report.examples import Example, Group
from rlkit.report.frame import run_class, swatch
from rlkit.report.markup import Markup, breakable, join, tag

MAX_SOLUTIONS = 12
MAX_CHARACTERS = 1500
SHORT_COMPLETION = 60


def examples_section(report: Report) -> Markup | None:
    """Return one card per chosen problem; None when no samples could be read."""
    shown = [example for example in report.examples if any(group.num_samples for group in example.groups)]
    if not shown:
        return None
    caption = (
        "Problems chosen from the counts alone, by the rule each one names. Rows are distinct solutions (as one of the "
        "completions wrote it), columns are runs, numbers say how many of a run's samples gave that solution."
    )
    return tag(
        "section",
        tag("h2", "The same problem, side by side", id="examples"),
        tag("p", caption, class_="caption"),
        [_example(report, example) for example in shown],
        aria_labelledby="examples",
    )


def prompt_text(prompt: Any) -> str:
    """Return a prompt as text; of a chat the last user message."""
    if isinstance(prompt, list):
        users = [m.get("content") or "" for m in prompt if isinstance(m, dict) and m.get("role") == "user"]
        return str(users[-1]) if users else ""
    return "" if prompt is None else str(prompt)


def _example(report: Report, example: Example) -> Markup:
    return tag(
        "article",
        tag("h3", example.reason),
        tag("p", tag("span", f"Problem {example.problem_id}", class_="quiet"), _found(example), class_="caption"),
        tag("pre", _clip(prompt_text(example.prompt)), class_="prompt", tabindex="0") if example.prompt else None,
        tag("div", _matrix(report, example), class_="scroll", tabindex="0"),
        tag("details", tag("summary", "Completions"), _completions(report, example)),
        class_="card example",
    )


def _found(example: Example) -> str:
    found = len(example.solutions)
    if example.num_solutions:
        return f" · {found} of {example.num_solutions} possible solutions found by some run"
    return f" · {found} distinct solution{'' if found == 1 else 's'} found by some run"


def _matrix(report: Report, example: Example) -> Markup:
    head = [tag("th", "Solution", scope="col")]
    head += [
        tag("th", swatch(i), " ", breakable(name), scope="col", class_=run_class(i))
        for i, name in enumerate(report.names)
    ]
    solutions, groups = example.solutions, example.groups
    counts = [[group.solutions[key] for group in groups] for key in solutions]
    largest = max((count for row in counts for count in row), default=0)
    rows = [
        _row(_solution_label(example, key), row, largest, "correct")
        for key, row in zip(solutions[:MAX_SOLUTIONS], counts, strict=False)
    ]
    if len(solutions) > MAX_SOLUTIONS:
        rest = [sum(column) for column in zip(*counts[MAX_SOLUTIONS:], strict=True)]
        rows.append(_row(f"{len(solutions) - MAX_SOLUTIONS} more", rest, largest, "more"))
    rows.append(_row("Distinct solutions", [len(group.solutions) for group in groups], None, "total"))
    rows.append(_row(_wrong_label(groups), [group.wrong.total() for group in groups], example.num_samples, "wrong"))
    return tag(
        "table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="matrix", style=f"--runs:{len(groups)}"
    )


def _solution_label(example: Example, key: str) -> Markup:
    """A short completion shows a solution as the model wrote it; a long one is named by its canonical key."""
    text = next(g.examples[key] for g in example.groups if key in g.solutions).strip()
    is_short = 0 < len(text) <= SHORT_COMPLETION and "\n" not in text
    return tag("code", text if is_short else _clip(key or "correct", 120), title=key or None)


def _row(label: str, counts: Sequence[int], full: int | None, kind: str) -> Markup:
    cells = []
    for i, count in enumerate(counts):
        width = 100 * count / full if full else 0.0
        bar = (
            tag("span", tag("span", class_="bar", style=f"width:{width:.1f}%"), class_="track")
            if count and full
            else None
        )
        text = tag("span", str(count) if count else "–", class_="count")
        cells.append(tag("td", tag("div", text, bar), class_=run_class(i) + ("" if count else " none")))
    return tag("tr", tag("th", label, scope="row"), cells, class_=kind)


def _wrong_label(groups: Sequence[Group]) -> Markup:
    labels = sum((group.wrong for group in groups), Counter[str]())
    parts = ", ".join(f"{label.replace('_', ' ')} {count}" for label, count in labels.most_common())
    return join(["Wrong", tag("span", parts, class_="breakdown") if parts else None])


def _completions(report: Report, example: Example) -> Markup:
    columns = [
        tag("div", tag("h4", swatch(i), " ", name), _classes(example, group), class_=run_class(i, "completions"))
        for i, (name, group) in enumerate(zip(report.names, example.groups, strict=True))
    ]
    return tag("div", tag("div", columns, class_="columns"), class_="scroll", tabindex="0")


def _classes(example: Example, group: Group) -> Markup:
    right = [(key, group.solutions[key], "correct") for key in example.solutions if group.solutions[key]]
    right.sort(key=lambda item: -item[1])
    wrong = [(key, count, key) for key, count in group.wrong.most_common()]
    items = [*right[:MAX_SOLUTIONS], *wrong]
    return join(
        tag(
            "div",
            tag("p", tag("strong", f"{count} ×"), " ", label.replace("_", " "), class_="caption"),
            tag("pre", _clip(group.examples.get(key, ""))),
            class_="completion is-correct" if label == "correct" else "completion is-wrong",
        )
        for key, count, label in items
    )


def _clip(text: str, limit: int = MAX_CHARACTERS) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit} more characters)"
