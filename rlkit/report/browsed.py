"""What the sample browser of the page holds: problems, and each run's completions of them grouped by class.

Everything is chosen by rule and within a budget of bytes; what was left out is counted. samples.jsonl has the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from rlkit.evaluation.samples.grouping import class_of
from rlkit.evaluation.samples.reading import read_samples
from rlkit.report.load import Run
from rlkit.report.markup import readable
from rlkit.report.scatter import success_rate

BUDGET = 4_000_000
"""Bytes that problems and completions may take in the page."""
MAX_PROBLEMS = 1000
MAX_ENTRIES, FEWEST_PROBLEMS = 2000, 20
"""Problems times runs, and problems however many runs there are."""
MAX_CLASSES = 10
"""Classes of one run's completions of one problem that are listed; the rest is counted."""
TEXT_LIMITS = (2000, 1000, 500, 250)
"""Characters of a completion: the largest with which all problems fit, else the smallest."""
KINDS = ("correct", "wrong", "cut_off", "unscored")


@dataclass
class Class:
    """Completions of one run that amount to the same: one kind, one label, one canonical key."""

    kind: str
    label: str
    key: str
    count: int = 0
    num_cut_off: int = 0
    example: str = ""
    """The first completion."""


@dataclass(frozen=True)
class Browsed:
    """Problems in the order of the evaluation, ready for JSON."""

    problems: list[dict[str, Any]] = field(default_factory=list)
    num_problems: int = 0
    """Of the evaluation."""
    text_limit: int = TEXT_LIMITS[0]


def collect_browsed(
    runs: Sequence[Run], budget: int = BUDGET, progress: Callable[[int], None] = lambda done: None
) -> Browsed:
    """Choose problems, read their samples and cut texts until everything fits `budget` bytes.

    `progress` is called with how many runs' samples were read.
    """
    # Of more than these few would fit, and reading is most of the time where there are many runs.
    order = order_problems(runs)[: max(MAX_ENTRIES // len(runs), FEWEST_PROBLEMS)][:MAX_PROBLEMS]
    classes = []
    for run in runs:
        classes.append(read_classes(run.directory, set(order)))
        progress(len(classes))
    if not any(classes):
        return Browsed()
    by_id = [{problem["id"]: problem for problem in run.problems} for run in runs]
    entries = {i: _entry(i, by_id, [found.get(i, []) for found in classes]) for i in order}
    chosen, limit = fit(entries, budget)
    kept = [cut_texts(entries[problem["id"]], limit) for problem in runs[0].problems if problem["id"] in chosen]
    return Browsed(kept, len(runs[0].problems), limit)


def order_problems(runs: Sequence[Run]) -> list[str]:
    """Return problem ids by what one would look at first, which is what stays when not all fit.

    Lost and gained problems of any run; then by turns those whose success changed most, those that every run gets
    always wrong, and those it gets always right; then the others. Ties go to the problem that comes first.
    """
    rates = [{problem["id"]: success_rate(problem) for problem in run.problems} for run in runs]
    ids = [problem["id"] for problem in runs[0].problems]
    tags = {i: problem_tags([by_id.get(i) for by_id in rates]) for i in ids}
    moved = [i for i in ids if any(mark.startswith(("lost", "gained")) for mark in tags[i])]
    changed = sorted(ids, key=lambda i: -_change([by_id.get(i) for by_id in rates]))
    turns = zip_longest(changed, *([i for i in ids if mark in tags[i]] for mark in ("all-wrong", "all-right")))
    return list(dict.fromkeys(i for i in chain(moved, *turns) if i is not None))


def problem_tags(rates: Sequence[float | None]) -> list[str]:
    """Return the filters that a problem is under, from every run's share of correct samples, the reference first."""
    reference, *others = rates
    tags = []
    for slot, rate in enumerate(others, start=1):
        if rate is not None and reference is not None and (rate > 0) != (reference > 0):
            tags.append(f"{'gained' if rate > 0 else 'lost'}-{slot}")
    known = [rate for rate in rates if rate is not None]
    tags += ["all-wrong"] if known and max(known) == 0 else []
    return tags + (["all-right"] if known and min(known) == 1 else [])


def read_classes(directory: Path, problem_ids: set[str]) -> dict[str, list[Class]]:
    """Group the samples of the given problems, the most frequent class of each kind first."""
    found: dict[str, dict[tuple[str, str, str], Class]] = {}
    for sample in read_samples(directory, problem_ids):
        identity = (sample_kind(sample), sample["label"], class_of(sample) or "")
        group = found.setdefault(sample["prompt_id"], {}).setdefault(identity, Class(*identity))
        group.count += 1
        group.num_cut_off += sample["finish_reason"] == "length"
        group.example = group.example if group.count > 1 else sample["completion"]
    return {i: sorted(groups.values(), key=lambda c: (KINDS.index(c.kind), -c.count)) for i, groups in found.items()}


def sample_kind(sample: Mapping[str, Any]) -> str:
    """Return `correct`, `wrong`, `cut_off` (ended by the token limit before it was right) or `unscored`."""
    if sample["correct"] is None:
        return "unscored"
    if sample["correct"] is True:
        return "correct"
    return "cut_off" if sample["finish_reason"] == "length" else "wrong"


def fit(entries: Mapping[str, Mapping[str, Any]], budget: int) -> tuple[set[str], int]:
    """Return the problems that fit, taken in order, and the length that their texts are cut to."""
    for limit in TEXT_LIMITS:
        chosen, room = set(), budget
        for problem_id, entry in entries.items():
            room -= len(json.dumps(cut_texts(entry, limit), separators=(",", ":"))) + 1
            if room < 0:
                break
            chosen.add(problem_id)
        if len(chosen) == len(entries):
            break
    return chosen, limit


def cut_texts(entry: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Return an entry whose prompt and completions have at most `limit` characters; how many were cut is kept."""
    return {
        **entry,
        "prompt": entry["prompt"][: 2 * limit],
        "runs": [
            {
                **run,
                "classes": [
                    {**c, "text": c["text"][:limit], "cut": max(0, len(c["text"]) - limit)} for c in run["classes"]
                ],
            }
            for run in entry["runs"]
        ],
    }


def _entry(problem_id: str, by_id: Sequence[Mapping[str, Any]], classes: Sequence[list[Class]]) -> dict[str, Any]:
    problems = [problems.get(problem_id) for problems in by_id]
    rates = [success_rate(problem) if problem else None for problem in problems]
    return {
        "id": problem_id,
        "prompt": readable(_prompt_text((problems[0] or {}).get("prompt"))),
        "tags": problem_tags(rates),
        "change": round(_change(rates), 4),
        "runs": [_run_entry(problem, found) for problem, found in zip(problems, classes, strict=True)],
    }


def _run_entry(problem: Mapping[str, Any] | None, classes: list[Class]) -> dict[str, Any]:
    shown = list(_leading(classes))
    places = {*map(id, shown)}
    rest = [c for c in classes if id(c) not in places]
    return {
        "n": (problem or {}).get("num_samples") or 0,
        "c": (problem or {}).get("num_correct") or 0,
        "classes": [
            {
                "kind": c.kind,
                "label": readable(c.label),
                "key": readable(c.key[:160]),
                "count": c.count,
                "off": c.num_cut_off,
                "text": readable(c.example),
            }
            for c in shown
        ],
        "rest": [len(rest), sum(c.count for c in rest)],
    }


def _leading(classes: Sequence[Class]) -> Iterator[Class]:
    """Yield up to MAX_CLASSES of them: half the places are the correct ones', as far as they need them."""
    right = [c for c in classes if c.kind == "correct"]
    others = [c for c in classes if c.kind != "correct"]
    room = max(MAX_CLASSES - len(others), MAX_CLASSES // 2)
    yield from right[:room]
    # Of what is not correct, every kind's most frequent class comes before any second one.
    firsts = {kind: next((c for c in others if c.kind == kind), None) for kind in KINDS[1:]}
    ranked = sorted(others, key=lambda c: (firsts[c.kind] is not c, -c.count))
    kept = {*map(id, ranked[: MAX_CLASSES - min(len(right), room)])}
    yield from (c for c in others if id(c) in kept)


def _change(rates: Sequence[float | None]) -> float:
    reference, *others = rates
    return max((abs(rate - reference) for rate in others if rate is not None and reference is not None), default=0.0)


def _prompt_text(prompt: Any) -> str:
    """Return a prompt as text; of a chat the last user message."""
    if isinstance(prompt, list):
        users = [m.get("content") or "" for m in prompt if isinstance(m, dict) and m.get("role") == "user"]
        return str(users[-1]) if users else ""
    return "" if prompt is None else str(prompt)
