"""The rows of any task, checked at the door: what a task of somebody's own gives may be anything."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, PluginError, RlkitError
from rlkit.parameters import show
from rlkit.types import Row, Task

_HALF = re.compile(r"[\ud800-\udfff]")


def load_rows(task: Task, split: str, needs_ids: bool = True) -> list[Row]:
    """Return the rows of a split, each with a prompt that can be sent, and ids that are texts and unique.

    Args:
        task: what gives them; a generator is read to its end.
        split: which.
        needs_ids: whether samples will be kept by them; training needs none.

    Raises:
        ConfigError: there are no rows, or one is not as a row must be; names it.
        PluginError: `load` of a task of somebody's own fails.
    """
    try:
        rows = list(task.load(split))
    except RlkitError:
        raise
    except Exception as error:
        raise PluginError(f"The task {task.name!r} fails in load({split!r}): {say_where(error)}.") from error
    check_rows(task, split, rows, needs_ids)
    return rows


def check_rows(task: Task, split: str, rows: list[Row], needs_ids: bool = True) -> None:
    """Raise ConfigError as `load_rows` does."""
    if not rows:
        raise ConfigError(f"The split {split!r} of task {task.name!r} has no problems; choose another split.")
    for number, row in enumerate(rows, start=1):
        _check_row(row, f"Row {number} of {task.name} ({split})", needs_ids)
    if needs_ids:
        ((most_common, count),) = Counter(row["id"] for row in rows).most_common(1)
        if count > 1:
            raise ConfigError(
                f"The task {task.name!r} gives {count} problems the id {most_common!r}; ids must be unique."
            )


def check_prompt(prompt: Any, place: str) -> None:
    """Raise ConfigError unless a prompt is a text or a list of messages, all of which a tokenizer can read."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(messages, list) or not messages or not all(_is_message(message) for message in messages):
        raise ConfigError(
            f"{place} has the prompt {show(prompt)}; write a text, or a list of messages such as "
            '{"role": "user", "content": "..."}.'
        )
    for message in messages:
        check_readable(message["content"], f"The prompt of {place[0].lower()}{place[1:]}")


def check_readable(text: Any, place: str) -> None:
    """Raise ConfigError where a text holds half a surrogate pair, which no tokenizer, file or server takes."""
    if isinstance(text, str) and (found := _HALF.search(text)):
        raise ConfigError(
            f"{place} holds half a surrogate pair, {found[0]!a} at character {found.start() + 1}, which is no "
            "letter and cannot be encoded; mend the text."
        )


def say_where(error: BaseException) -> str:
    """Return an error of a plug-in on one line, with the place where it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    said = " ".join(str(error).split())[:200].rstrip(".")
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{f': {said}' if said else ''}{where}"


def _check_row(row: Any, place: str, needs_ids: bool) -> None:
    if not isinstance(row, Mapping):
        raise ConfigError(f'{place} is {show(row)}; write a dict with "id", "prompt" and what grading needs.')
    for name in ("id", "prompt") if needs_ids else ("prompt",):
        if name not in row:
            raise ConfigError(f"{place} has no {name!r}, but {', '.join(map(repr, row)) or 'nothing'}; add it.")
    if needs_ids:
        if not isinstance(row["id"], str) or not row["id"]:
            raise ConfigError(f"{place} has the id {show(row['id'])}; write a text that is unique, such as 'train/1'.")
        check_readable(row["id"], f"The id of {place[0].lower()}{place[1:]}")
    check_prompt(row["prompt"], place)


def _is_message(message: Any) -> bool:
    return isinstance(message, Mapping) and isinstance(message.get("role"), str) and "content" in message
