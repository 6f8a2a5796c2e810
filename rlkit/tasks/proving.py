"""Proof, without a model, that a task is what it says: every row is tried, as far as the time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rlkit.errors import ConfigError, PluginError, RewardError
from rlkit.parameters import show
from rlkit.tasks.rows import check_rows, load_rows, say_where
from rlkit.terminal import StageProgress, note
from rlkit.types import Grade, Row, Task

_SECONDS = 300.0
"""Time for the rows of one split; what is not tried by then is said."""
LONGEST_S = 1800.0
"""Seconds in which a task must load its rows, and prove itself."""
GRADE_S = 60.0
"""Seconds that one call of `grade` may take, with what it loads at first."""
_BATCH = 64
_NAMED = 5
_USUAL_SPLITS = ("train", "validation", "test")
_HOSTILE = (
    *("", " \n", "\0", "\ud835", "\\boxed{", "\\boxed{}", "</answer><answer>", "{}[]()%s%n{0}", "NaN", "1e999999"),
    *("9" * 5000, "\\boxed{" * 500, "(" * 2000, "a" * 100_000, "```python\n", "\u202e\u0000\ufffe 4", "1/0"),
)
"""Texts that a policy may write, and that have ended graders."""

Fault = tuple[str, str]
"""The id of a row, and the sentence about it without its stop."""


def try_rows(rows: Sequence[Row], find_faults: Callable[[list[Row]], Iterator[Fault]], stage: str) -> None:
    """Try rows, a batch after the other, and raise one error for all that is wrong with them.

    Args:
        rows: of one split.
        find_faults: yields what is wrong with some rows.
        stage: what the progress is called.

    Raises:
        RewardError: something is; names the first rows, and how many there are.
    """
    end, done, faults = time.monotonic() + _SECONDS, 0, dict[str, str]()
    with StageProgress() as progress:
        for start in range(0, len(rows), _BATCH):
            if time.monotonic() > end:
                note(f"{stage}: {done:,} of {len(rows):,} were tried in {_SECONDS:g} seconds; the rest was only read.")
                break
            for name, said in find_faults(list(rows[start : start + _BATCH])):
                faults.setdefault(name, said)
            done = min(start + _BATCH, len(rows))
            progress(stage, done, len(rows))
    if faults:
        first, *others = faults
        named = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
        more = f" {len(others):,} more of {done:,} rows have such a fault: {named}." if others else ""
        raise RewardError(f"{faults[first]}.{more}")


def prove_task(task: Task, at: Callable[[str, float], object] = lambda label, patience_s: None) -> dict[str, int]:
    """Check that a task keeps its contract, then let it prove its verifier; returns the number of rows of each split.

    Every row has a prompt and an id of its own, no problem is in two splits, and `grade` gives a `Grade` whatever it is
    shown.

    Args:
        task: of anybody's.
        at: told what is done next, and how many seconds that may take; for a program that watches from outside.

    Raises:
        ConfigError: a row is not as it must be, or no split can be loaded.
        RewardError: a problem is in two splits, or `grade` raises or gives something else.
    """
    at("its rows were loaded", LONGEST_S)
    loaded = _load_splits(task)
    check_apart(loaded)
    for rows in loaded.values():
        for text in _HOSTILE:
            at(f"grade() was given {show(text, 40)}", GRADE_S)
            _check_grade(task, text, rows[0])
    at("validate() was called", LONGEST_S)
    try:
        task.validate()
    except (RewardError, ConfigError, PluginError):
        raise
    except Exception as error:
        raise RewardError(f"The task {task.name!r} fails in validate(): {say_where(error)}.") from error
    return {split: len(rows) for split, rows in loaded.items()}


def check_apart(loaded: Mapping[str, Sequence[Row]]) -> None:
    """Raise RewardError where a problem is in two splits."""
    seen: dict[str, str] = {}
    for split, rows in loaded.items():
        for row in rows:
            other = seen.setdefault(str(row["prompt"]), split)
            if other != split:
                raise RewardError(f"The problem {row['id']!r} is also in the split {other!r}; delete it from one.")


def _load_splits(task: Task) -> dict[str, list[Row]]:
    known = task.known_splits() if hasattr(task, "known_splits") else getattr(task, "splits", None)
    loaded, missing = dict[str, list[Row]](), dict[str, Exception]()
    for split in known or _USUAL_SPLITS:
        try:
            rows = list(task.load(split))
        except Exception as error:
            missing[split] = error
            continue
        check_rows(task, split, rows)
        loaded[split] = rows
    if known or not loaded:
        # Of the splits that a task names, and if need be of those it usually has, one must be there: it says why not.
        for split in missing:
            load_rows(task, split)
    for split, reason in missing.items():
        note(f"{task.name} has no split {split!r}: {say_where(reason)}.")
    return loaded


def _check_grade(task: Task, text: str, row: Row) -> None:
    about = f"grade() of the task {task.name!r}, given {show(text, 40)} for the problem {row['id']!r},"
    try:
        grade: Any = task.grade(text, row)
    except Exception as error:
        raise RewardError(f"{about} raises {say_where(error)}; it must give a Grade for any text.") from error
    fits = isinstance(grade, Grade) and isinstance(grade.correct, bool | None) and isinstance(grade.label, str)
    if not fits or not isinstance(grade.answer, str | None):
        raise RewardError(
            f"{about} gives {show(grade)}; return rlkit.types.Grade(correct, label), correct being True, False or "
            "None, the label a word."
        )
