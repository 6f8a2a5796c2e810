"""What each round brought: measured on the held-out problems, compared with the round before, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.evaluation.comparing.comparison import compare_runs
from rlkit.evaluation.comparing.models import read_model
from rlkit.files import read_json, write_json

Entry = dict[str, Any]
"""One round: `round` (0 for the base), `samples`, `correct` and `solutions` of it and all before, what was measured,
`changes` over the round before, and `stopped`, whether rounds end with it."""

_VARIETIES = ("solution_coverage", "distinct_correct")
_WORDS = {"solution_coverage": "coverage", "distinct_correct": "distinct"}


def read_history(path: Path) -> list[Entry]:
    """Return the rounds that are done, the base first; empty before it is evaluated."""
    return list(read_json(path)["rounds"]) if path.is_file() else []


def write_history(path: Path, history: Sequence[Entry]) -> None:
    """Put the rounds that are done in the place of what was there."""
    write_json(path, {"rounds": [*history]})


def measure(directory: Path, n: int) -> dict[str, float | None]:
    """Return pass@1, pass@n, coverage and distinct correct solutions of an evaluation; None where undefined.

    Of several temperatures 1 counts, else the highest.
    """
    found = read_model(directory).main()
    values = {f"pass@{k}": found["pass_at_k"][str(k)]["value"] for k in (1, n)}
    return values | {name: found["metrics"][name]["value"] for name in _VARIETIES}


def find_changes(before: Path, here: Path, n: int) -> dict[str, dict[str, float | None]]:
    """Return the change of pass@n, and of coverage or else distinct solutions, each with its paired 95 % interval.

    Args:
        before: evaluation of the model before.
        here: of the same problems.
        n: samples a problem.
    """
    found = compare_runs(read_model(before).main(), read_model(here).main(), ks=[1, n])
    cells = {f"pass@{n}": found["pass_at_k"][str(n)]}
    known = [name for name in _VARIETIES if found["metrics"].get(name, {}).get("difference") is not None]
    cells |= {name: found["metrics"][name] for name in known[:1]}
    return {name: {key: cell[key] for key in ("difference", "low", "high")} for name, cell in cells.items()}


def has_risen(changes: Mapping[str, Mapping[str, float | None]]) -> bool:
    """Return whether anything lies above what it was by more than its interval."""
    return any(change["low"] is not None and change["low"] > 0 for change in changes.values())


def describe_round(entry: Entry) -> str:
    """Return what a round brought, as a sentence or two."""
    changes = " and ".join(f"{_WORDS.get(name, name)} by {_interval(each)}" for name, each in entry["changes"].items())
    said = f"Round {entry['round']}: {entry['solutions']:,} solutions so far; {changes} over the round before."
    return said + (" Neither rose beyond its interval, so this is the last round." if entry["stopped"] else "")


def tabulate(history: Sequence[Entry]) -> list[str]:
    """Return a table, one line a round."""
    measured = [name for name in history[0] if name not in ("round", "samples", "correct", "solutions")]
    measured = [name for name in measured if any(entry[name] is not None for entry in history)]
    lines = ["round     samples  solutions  a sample" + "".join(f"  {_WORDS.get(name, name):>8}" for name in measured)]
    for entry in history:
        drawn = f" base  {'-':>10}  {'-':>9}  {'-':>8}"
        if entry["round"]:
            rate = entry["solutions"] / entry["samples"]
            drawn = f"{entry['round']:>5}  {entry['samples']:>10,}  {entry['solutions']:>9,}  {rate:>8.4f}"
        lines.append(drawn + "".join(f"  {_number(entry[name]):>8}" for name in measured))
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(change: Mapping[str, float | None]) -> str:
    difference, low, high = (change[key] for key in ("difference", "low", "high"))
    if difference is None or low is None or high is None:
        return "what cannot be said"
    return f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
