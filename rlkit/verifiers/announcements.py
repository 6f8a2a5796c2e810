"""Where a completion announces its final answer."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from rlkit.verifiers.reasoning import USUAL_TAG, blank_reasoning


class Announcement(NamedTuple):
    """A final answer as it stands in a text."""

    content: str
    end: int
    """Where the text after it begins."""
    is_closed: bool
    """Whether a closing mark says that it is whole; else it ends with its line."""


def cut_after_answer(text: str, thinking_tag: str | None = USUAL_TAG) -> str:
    """Return the text up to the end of its final answer, all of it when none is announced.

    What follows the answer is no part of the reasoning, and a policy paid for diversity fills it with noise (DARLING,
    arXiv 2509.02534, on its 4-gram reward). The final answer is the last closed `\\boxed{...}` or
    `<answer>...</answer>`; without one, the last line with `#### x` or `answer is x` (also `answer: x`). What is
    announced inside reasoning is no final answer.
    """
    found = find_answer(blank_reasoning(text, thinking_tag))
    return text if found is None else text[: found.end]


def find_answer(text: str) -> Announcement | None:
    """Return the final answer that a text announces, None when it announces none; time linear in the text.

    A box or tag goes before a line. Boxes that only commas, `and` or `or` part are one answer, a list. In a tag the
    answer is what a box or sentence inside it announces, where one does.
    """
    found = find_marked(text)
    if found is not None:
        return found
    sentence, hashes = _last_line(_SENTENCE, text), _last_hashes(text)
    lines = [line for line in (sentence, hashes) if line is not None]
    return max(lines, key=lambda line: line.end, default=None)


def find_marked(text: str) -> Announcement | None:
    """Return the last answer of a text in `\\boxed{...}` or `<answer>...</answer>`, None when there is neither.

    A box counts once its braces are closed. `<answer>` may be in either case; where nothing closes it, as when a stop
    text ended the completion, its answer is the line behind it.
    """
    boxes, tagged = _last_boxes(text), _last_tagged(text)
    if tagged is None or (boxes is not None and boxes.end > tagged.end):
        return boxes
    inside = _last_boxes(tagged.content) or _last_line(_SENTENCE, tagged.content)
    content = tagged.content if inside is None else inside.content
    return tagged._replace(content=content.strip().strip("*`").strip(), is_closed=tagged.is_closed)


def last_boxed(text: str) -> Announcement | None:
    """Return what stands in the last `\\boxed{...}` whose braces are closed, None without one."""
    boxes = _find_boxes(text)
    return Announcement(text[boxes[-1].start : boxes[-1].end - 1], boxes[-1].end, True) if boxes else None


_MOST_BOXES = 64
_TAIL = 50_000
"""Characters at the end of a text in which a box is looked for first."""
# Possessive, so that no text costs more than linear time.
_BRACE = re.compile(r"\\(?:f?boxed|fbox)\s*\{|\\[{}]|[{}]")
_BETWEEN_BOXES = re.compile(
    r"(?:[ \t,;$*]|\\[,;: ]|\\q?quad|\\\(|\\\)|\band\b|\bor\b|\\text\{[ ,]*(?:and|or)[ ,]*\})*+"
)
_OPENERS, _CLOSERS = ("<answer>", "<Answer>", "<ANSWER>"), ("</answer>", "</Answer>", "</ANSWER>")
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]*+(?=\S)")
_NUMBER_AFTER_HASHES = re.compile(r"[-+]?(?:\\?[$€£])?[-+]?[\d.,/]*\d(?:\s*\\?%)?(?![\w)]|[.:]\s)[ \t.*$]*")
# Up to two ends of lines, and the mark that opens a formula on a line of its own.
_NEXT_LINE = r"(?:\n[ \t]*+){0,2}(?:(?:\\\[|\$\$)[ \t]*+\n[ \t]*+)?+"
_SENTENCE = re.compile(
    rf"\banswers?(?:\*\*)?[ \t]*+(?:(?:is|are|was|would be|must be)\b[ \t:*_]*+|[:=][ \t*_]*+){_NEXT_LINE}(?=\S)"
    # A heading.
    rf"|^[#*_ \t]*+(?:the[ \t]++)?(?:final[ \t]++|correct[ \t]++)?answer[*_:. \t]*+(?=\n){_NEXT_LINE}(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)


class _Box(NamedTuple):
    begin: int
    start: int
    """Where its content begins."""
    end: int


def _find_boxes(text: str) -> Sequence[_Box]:
    """Return the last boxes that are closed and in no other, in reading order; the end of a long text is read first."""
    first = text.find("box")
    if first < 0 or text.rfind("}") < first:
        return ()
    late = max(0, len(text) - _TAIL)
    return _boxes_from(text, late) or (_boxes_from(text, 0) if late else ())


def _boxes_from(text: str, start: int) -> Sequence[_Box]:
    boxes: deque[_Box] = deque(maxlen=_MOST_BOXES)
    opened: list[tuple[int, int] | None] = []
    for match in _BRACE.finditer(text, start):
        mark = match[0]
        if mark in ("\\{", "\\}"):
            continue
        if mark != "}":
            opened.append((match.start(), match.end()) if len(mark) > 1 else None)
        elif opened and (box := opened.pop()) is not None:
            while boxes and boxes[-1].begin > box[0]:
                boxes.pop()
            boxes.append(_Box(*box, match.end()))
    return boxes


def _last_boxes(text: str) -> Announcement | None:
    boxes = _find_boxes(text)
    if not boxes:
        return None
    first = len(boxes) - 1
    while first and _BETWEEN_BOXES.fullmatch(text, boxes[first - 1].end, boxes[first].begin):
        first -= 1
    contents = [text[box.start : box.end - 1] for box in list(boxes)[first:]]
    return Announcement(", ".join(dict.fromkeys(contents)), boxes[-1].end, True)


def _last_tagged(text: str) -> Announcement | None:
    opening = _rfind(text, _OPENERS, len(text))
    if opening < 0:
        return None
    start = opening + len(_OPENERS[0])
    closings = [place for mark in _CLOSERS if (place := text.find(mark, start)) >= 0]
    if closings:
        return Announcement(text[start : min(closings)], min(closings) + len(_CLOSERS[0]), True)
    rest = text[start:]
    line = rest.strip().partition("\n")[0].strip()
    if line:
        return Announcement(line, start + rest.index(line) + len(line), False)
    closing = _rfind(text, _CLOSERS, opening)
    before = _rfind(text, _OPENERS, opening)
    if before > closing and text[before + len(_OPENERS[0]) : opening].strip():
        # It was closed by another opening tag.
        return Announcement(text[before + len(_OPENERS[0]) : opening], start, True)
    earlier = _rfind(text, _OPENERS, closing)
    if min(closing, earlier) < 0:
        return None
    return Announcement(text[earlier + len(_OPENERS[0]) : closing], closing + len(_CLOSERS[0]), True)


def _rfind(text: str, marks: Sequence[str], end: int) -> int:
    return max(text.rfind(mark, 0, max(end, 0)) for mark in marks)


def _last_hashes(text: str) -> Announcement | None:
    """Return what stands behind the last `####` that is no heading: a number, or the last line of the text."""
    found = None
    for match in _HASHES.finditer(text):
        end = text.find("\n", match.end())
        end = len(text) if end < 0 else end
        if _NUMBER_AFTER_HASHES.fullmatch(text, match.end(), end) or not text[end:].strip():
            found = Announcement(text[match.end() : end], end, False)
    return found


def _last_line(pattern: re.Pattern[str], text: str) -> Announcement | None:
    start = max((match.end() for match in pattern.finditer(text)), default=None)
    if start is None:
        return None
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return Announcement(text[start:end], end, False)
