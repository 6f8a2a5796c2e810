"""Programs that are the same but for names, comments and layout: the partition of code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.diversity.program_keys import program_key
from rlkit.diversity.text_partition import TRUNCATED_CLASS, KeyPartition
from rlkit.parameters import check_flag, name_in_recipes
from rlkit.verifiers.announcements import cut_after_answer
from rlkit.verifiers.answers import NO_ANSWER
from rlkit.verifiers.code_fences import extract_code
from rlkit.verifiers.code_program import assemble
from rlkit.verifiers.normalisation import EMPTY_CLASS
from rlkit.verifiers.reasoning import answer_text


@dataclass(frozen=True, kw_only=True)
class SyntaxTree(KeyPartition):
    """Two completions are the same when their Python programs have one syntax tree, whatever their names are.

    The program is what the code reward tests: the block of a completion that defines `entry_point`, or the text that
    continues the problem's `beginning` (columns of the rows of a task of code; without them, the last block that
    defines something, or the whole text). See `rlkit.diversity.program_keys` for what is left out of the tree. Where
    the tests call an entry point, so are examples, asserts and a main block beside the definitions.

    Completions without a program that this Python can read are one class, NO_ANSWER; those cut off inside their program
    are one class too, as in every partition of texts.
    """

    cut_after_answer: bool = False
    """As in other partitions, but off: a line `answer = 0` in a program reads like an announcement."""
    keep_names: bool = False
    """Whether other names make another program."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        super().__post_init__()
        check_flag(name_in_recipes(self), "keep_names", self.keep_names)

    def features(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[str]:
        """Return the programs' digests, NO_ANSWER where there is none; looks at `truncated` and the columns above."""
        num = len(completions)
        cut = self._flags(columns.get("truncated"), num)
        begun, called = (columns.get(name, [None] * num) for name in ("beginning", "entry_point"))
        return [self._read(*each) for each in zip(completions, cut, begun, called, strict=True)]

    def boil_down(self, texts: list[str]) -> list[str]:
        return [self._key(text, None, None) for text in texts]

    def _read(self, text: str, was_truncated: bool, beginning: Any, entry_point: Any) -> str:
        if not text.strip():
            return EMPTY_CLASS
        if was_truncated and not _is_finished(text):
            return TRUNCATED_CLASS
        return self._key(text, beginning, entry_point)

    def _key(self, text: str, beginning: Any, entry_point: Any) -> str:
        if self.cut_after_answer:
            text = cut_after_answer(text, self.thinking_tag)
        entry_point = entry_point if isinstance(entry_point, str) and entry_point else None
        beginning = beginning if isinstance(beginning, str) else ""
        code = assemble(answer_text(text, self.thinking_tag), beginning, entry_point, keep_helpers=False)
        if code is None or not code.strip():
            return NO_ANSWER
        key = program_key(code, keep_names=self.keep_names, only_definitions=entry_point is not None)
        return NO_ANSWER if key is None else key


def _is_finished(text: str) -> bool:
    """Return whether a text that was cut off had closed its program: more text would then be no part of it."""
    code = extract_code(text)
    return code is not None and code == extract_code(f"{text}\nmore")
