"""Sentences that the page, the Markdown table and the terminal share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlkit.report.cells import Cell, format_interval, format_signed
from rlkit.report.checkpoints import find_drops
from rlkit.report.columns import Column, common_largest_k
from rlkit.report.combined import Report

ARROWS = {"up": "▲", "down": "▼", "unclear": "≈"}
_PARTS = {"all": "all outputs", "correct": "correct ones"}
_MEASURES = {
    "distinct_correct": "distinct correct solutions",
    "solution_coverage": "solution-set coverage",
    "answer_entropy": "answer entropy",
    "token_entropy": "token entropy",
    "simpson": "Simpson diversity",
    "ead": "EAD of n-grams",
    "distinct_2": "distinct 2-grams",
    "distance_hashed_ngrams": "distance by n-grams",
    "vendi_1_hashed_ngrams": "Vendi score by n-grams",
    "vendi_2_hashed_ngrams": "Vendi score (order 2) by n-grams",
    "hill_1": "Hill number 1",
    "hill_2": "Hill number 2",
    "self_bleu": "self-BLEU",
}
_MOST_NAMED = 8
"""With more runs than this a sentence names the reference only."""
_LEADING = (
    "distinct_correct",
    "solution_coverage",
    "simpson",
    "distinct_classes_at_",
    "distance_",
    "ead",
    "vendi_",
    "answer_entropy",
    "token_entropy",
    "distinct_2",
    "semantic_entropy",
)
"""Starts of the names of measures, those that a drawing shows first."""
WORDS = {"up": "higher", "down": "lower", "unclear": "unclear"}


def describe_comparison(report: Report) -> str:
    """Say in one sentence what is compared: runs, task, problems, samples, temperature."""
    first, others = report.runs[0].report, report.names[1:]
    runs = _enumerate(report.names) if len(others) < _MOST_NAMED else f"{report.names[0]} and {len(others)} other runs"
    samples = _one_or_each([run.report.get("n") for run in report.runs])
    temperature = _one_or_each([(run.report.get("sampling") or {}).get("temperature") for run in report.runs])
    text = (
        f"{runs} on {first.get('num_problems')} problems of {task_name(first.get('task'))} "
        f"({first.get('split')} split), {samples} samples a problem"
    )
    text += f" at temperature {temperature}" if temperature != "None" else ""
    return f"{text}; the reference is {report.names[0]}." if others else f"{text}."


def caveats(report: Report) -> list[str]:
    """Return sentences on what a reader must know first: what makes runs less than comparable, and falling series."""
    found = []
    if len({run.report.get("n") for run in report.runs}) > 1:
        found.append(
            "The runs have different numbers of samples a problem. Distinct solutions and coverage grow with that "
            f"number: differences are taken at {common_largest_k(report.runs)} samples, but the values do not compare."
        )
    settings = [(run.report.get("sampling") or {}) | {"engine": run.report.get("engine")} for run in report.runs]
    if any(_without_seed(setting) != _without_seed(settings[0]) for setting in settings):
        found.append(
            "The runs were sampled with different settings (listed below); part of a difference may come from that."
        )
    return found + find_drops(report.runs)


def describe_difference(column: Column, cell: Cell) -> str:
    """Say a difference in one line: arrow, number, word; the interval decides which arrow."""
    if cell.value is None:
        return "difference undefined"
    number = format_signed(cell.value, column.digits)
    return f"{ARROWS[cell.direction]} {number} {WORDS[cell.direction]}"


def difference_tone(column: Column, cell: Cell) -> str:
    """Return `better`, `worse`, `changed` (no direction is good in itself) or `unclear`."""
    if cell.direction == "unclear":
        return "unclear"
    if column.is_higher_better is None:
        return "changed"
    return "better" if (cell.direction == "up") == column.is_higher_better else "worse"


def difference_interval(column: Column, cell: Cell) -> str:
    """Return the interval of a difference in brackets, or ""."""
    return format_interval(cell, column.digits, signed=True)


def measure_title(name: str) -> str:
    """Return the title of a measure of diversity: `NAME`, or `all/NAME` and `correct/NAME` by what it is over."""
    part, slash, bare = name.rpartition("/")
    stem, at, size = bare.partition("_at_")
    words = _MEASURES.get(stem, stem.replace("_", " ")) + (f" at {size}" if at else "")
    title = words[:1].upper() + words[1:]
    return f"{title}, {_PARTS.get(part, part)}" if slash else title


def leading_measures(names: Sequence[str], limit: int) -> list[str]:
    """Return the measures to draw where there are many: up to `limit` kinds, well-known ones first, of every part."""
    bare = list(dict.fromkeys(name.rpartition("/")[2] for name in names))
    rank = {name: next((i for i, start in enumerate(_LEADING) if name.startswith(start)), 99) for name in bare}
    firsts = [min((b for b in bare if rank[b] == i), key=bare.index) for i in sorted({*rank.values()} - {99})]
    chosen = [*firsts, *(name for name in bare if name not in firsts)][:limit]
    return [name for wanted in chosen for name in names if name.rpartition("/")[2] == wanted]


def task_name(task: object) -> str:
    """Return the name of a task given as a name or as a specification with one."""
    return str(task.get("name", task)) if isinstance(task, dict) else str(task)


def _without_seed(setting: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in setting.items() if key != "seed"}


def _enumerate(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _one_or_each(values: Sequence[object]) -> str:
    distinct = list(dict.fromkeys(values))
    return " / ".join(str(value) for value in distinct)
