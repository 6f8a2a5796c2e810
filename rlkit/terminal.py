"""Words and progress bars for people, all on standard error so that standard output stays clean for results.

One console is shared, because only lines that pass through it are placed above a live progress bar instead of into it.
Under `accelerate launch` the first process of the run speaks for all.
"""

from __future__ import annotations

import functools
import os
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID
    from rich.text import Text


@functools.cache
def console() -> Console:
    """Return the console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(sentence: str) -> None:
    """Tell the user something, once however many processes the run has."""
    if is_first_process():
        console().print(show_controls(sentence), markup=False)


def say(text: str, end: str = "\n", flush: bool = False) -> None:
    """Print a result on standard output, in which no text of a model or of a stranger's file draws on the terminal."""
    print(show_controls(text), end=end, flush=flush)


def show_controls(text: str) -> str:
    """Return a text in which control, format and private characters are written out, but for line breaks and tabs.

    Escape sequences move cursors and set titles, marks of direction turn text around, and characters without width
    hide in names.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else _write_out(c) for c in text)


def plain(text: str, style: str = "") -> Text:
    """Return a text for a table of rich's, which takes markup apart in a bare one and lets escape sequences through."""
    from rich.text import Text

    return Text(show_controls(text), style)


def _write_out(character: str) -> str:
    return character.encode("unicode_escape").decode()


def is_first_process() -> bool:
    """Return whether this is rank 0, by the launcher's own variable, so before torch is imported."""
    return os.environ.get("RANK", "0") == "0"


def is_first_on_machine() -> bool:
    """Return whether this is local rank 0: what every process of a machine finds wrong, one of them should say."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


class StageProgress:
    """A bar a stage on a terminal, a line a stage elsewhere; a context manager, called with what is done."""

    def __init__(self) -> None:
        from rich.progress import Progress

        self._bars = Progress(console=console(), transient=True, disable=not console().is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> StageProgress:
        """Show the bars."""
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bars down."""
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int, unit: str = "in all") -> None:
        """Say how many of a stage's units are done."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
            if self._bars.disable:
                note(f"{stage}: {total:,} {unit}")
        self._bars.update(self._tasks[stage], completed=done)
