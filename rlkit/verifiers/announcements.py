"""Where a completion announces its final answer."""

from __future__ import annotations

import re
from typing import NamedTuple


class Announcement(NamedTuple):
    """A final answer as it stands in a text."""

    content: str
    end: int
    """Where the text after it begins."""
    is_closed: bool
    """Whether a closing mark says that it is whole; else it ends with its line."""


def cut_after_answer(text: str) -> str:
    """Return the text up to the end of its final answer, all of it when none is announced.

    What follows the answer is no part of the reasoning, and a policy paid for diversity fills it with noise (DARLING,
    arXiv 2509.02534, on its 4-gram reward). The final answer is the last closed `\\boxed{...}` or
    `<answer>...</answer>`; without one, the last line with `#### x` or `answer is x` (also `answer: x`).
    """
    found = find_answer(text)
    return text if found is None else text[: found.end]


def find_answer(text: str) -> Announcement | None:
    """Return the final answer that a text announces, None when it announces none; time linear in the text."""
    marked = [found for found in (last_boxed(text), _last_tagged(text)) if found is not None]
    if marked:
        return max(marked, key=lambda found: found.end)
    lines = [found for found in (_last_line(_HASHES, text), _last_line(_SENTENCE, text)) if found is not None]
    return max(lines, key=lambda found: found.end, default=None)


def last_boxed(text: str) -> Announcement | None:
    """Return what stands in the last `\\boxed{...}` whose braces are closed, None without one."""
    last, open_starts = None, list[int | None]()
    for match in _BRACE.finditer(text):
        if match[0] != "}":
            open_starts.append(match.end() if len(match[0]) > 1 else None)
        elif open_starts and (start := open_starts.pop()) is not None:
            last = Announcement(text[start : match.start()], match.end(), True)
    return last


_BRACE = re.compile(r"\\boxed\s*\{|[{}]")
# Possessive, so that no text costs more than linear time.
_HASHES = re.compile(r"####[ \t]*+(?=\S)")
_SENTENCE = re.compile(r"\banswer(?:\*\*)?[ \t]*+(?:is\b|[:=])[ \t:*]*+(?=\S)", re.IGNORECASE)


def _last_tagged(text: str) -> Announcement | None:
    opening = text.rfind("<answer>", 0, max(text.rfind("</answer>"), 0))
    if opening < 0:
        return None
    start, closing = opening + len("<answer>"), text.find("</answer>", opening)
    return Announcement(text[start:closing], closing + len("</answer>"), True)


def _last_line(pattern: re.Pattern[str], text: str) -> Announcement | None:
    start = max((match.end() for match in pattern.finditer(text)), default=None)
    if start is None:
        return None
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return Announcement(text[start:end], end, False)
