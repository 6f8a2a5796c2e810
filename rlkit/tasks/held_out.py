"""Problems held out for tests: chosen by the prompts alone, so that another order of the rows chooses the same, and
known again where something is to be learnt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from rlkit.errors import RlkitError
from rlkit.parameters import check_number, check_text
from rlkit.tasks.rows import load_rows
from rlkit.types import Prompt, Row, Task


def check_share(owner: str, test: Any) -> None:
    """Raise ConfigError unless `test` is None, a share between 0 and 1, or the path of a file."""
    if isinstance(test, str):
        check_text(owner, "test", test)
    elif test is not None:
        check_number(owner, "test", test, above=0, below=1)


def hold_out(rows: list[Row], share: float, is_test: bool) -> list[Row]:
    """Return the rows that are held out, or the others, in their order; equal prompts stay together.

    The prompts with the smallest digests are held out, at least one and never all where there are two.
    """
    digests = [hashlib.sha256(json.dumps(row["prompt"]).encode()).hexdigest() for row in rows]
    distinct = sorted({*digests})
    held = {*distinct[: min(max(round(share * len(distinct)), 1), len(distinct) - 1)]}
    return [row for row, digest in zip(rows, digests, strict=True) if (digest in held) == is_test]


class HeldOut:
    """Knows the problems that nothing is learnt from, by id and by what they ask.

    Args:
        task: whose own splits are held out, those of them that it has.
        splits: which of its splits.
        others: further tasks, each with a split that it must have.

    Raises:
        RlkitError: one of `others` cannot be loaded.
    """

    def __init__(self, task: Task, splits: Sequence[str], others: Iterable[tuple[Task, str]] = ()) -> None:
        self._names: dict[str, str] = {}
        for split in splits:
            try:
                self._learn(task, split)
            except RlkitError:
                # Few tasks have them all, and one without problems to hold out holds out none.
                continue
        for other, split in others:
            self._learn(other, split)

    def _learn(self, task: Task, split: str) -> None:
        for row in load_rows(task, split, needs_ids=False):
            for name in _names_of(str(row.get("id", "")), row["prompt"]):
                self._names[name] = f"{task.name} ({split})"

    def find(self, problems: Iterable[tuple[str, Prompt]]) -> list[tuple[str, str]]:
        """Return which of some problems, as ids and prompts, are held out, each id with what holds it out."""
        found: dict[str, str] = {}
        for id, prompt in problems:
            for name in _names_of(id, prompt):
                if name in self._names:
                    found[id] = self._names[name]
        return [*found.items()]


def _names_of(id: str, prompt: Prompt) -> list[str]:
    return [*([f"id {id}"] if id else []), f"prompt {same_prompt(prompt)}"]


def same_prompt(prompt: Prompt) -> str:
    """Return what a prompt asks, as a text in which case, white space and who else speaks do not matter.

    Two problems with the same are one problem under two ids.
    """
    if not isinstance(prompt, str):
        asked = [message.get("content") for message in prompt if message.get("role") == "user"]
        prompt = " ".join(part if isinstance(part, str) else json.dumps(part) for part in asked)
    return " ".join(prompt.casefold().split())
