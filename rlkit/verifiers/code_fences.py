"""The code in a completion: which block between fences is meant, and where it ends."""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^\n`]*)|(?<=[^\s`])[ \t]*(`{3,})([^\n`]*)", re.MULTILINE)
_PYTHON = ("", "python", "python3", "py", "python2")
_CODE_ON_THE_LINE = re.compile(
    r"(?:def|class|import|from|for|if|while|with|try|return|lambda)\b|@|[A-Za-z_][\w.]*\s*(?:\(|=[^=]|\[)"
)
_ATTRIBUTES = re.compile(r"(?:[\w-]+=\S+\s*)+")
_DEFINES = re.compile(r"^(?:async def|def|class)\s", re.MULTILINE)
_LOOKS_LIKE_CODE = re.compile(
    r"^(?:def |class |import |from \w+ import|@\w|[ \t]+return\b|print\(|[A-Za-z_]\w* *= *\S)", re.MULTILINE
)


class _Fence(NamedTuple):
    start: int
    end: int
    indent: str
    info: str
    """What stands behind it on its line."""
    begins_line: bool


class _Block(NamedTuple):
    language: str
    code: str


def extract_code(text: str, entry_point: str | None = None) -> str | None:
    """Return the Python code of a completion, None when there is none.

    Between fences the last block counts that defines the entry point, or without one any function or class; then the
    last that says it is Python; then the last. A fence that is never closed runs to the end of the text; one that
    closes what the prompt had opened ends the code before it. A fence inside the code, as in a docstring, closes
    nothing. A text without fences is code as a whole.
    """
    text = text.replace("\ufeff", "").replace("\r\n", "\n")
    fences = [_read_fence(match) for match in _FENCE.finditer(text)]
    if not fences:
        return text if text.strip() else None
    blocks = [block for block in _find_blocks(text, fences) if block.language in _PYTHON and block.code.strip()]
    wanted = [_DEFINES]
    if entry_point is not None:
        name = re.escape(entry_point)
        wanted.insert(0, re.compile(rf"^(?:(?:async )?def {name}\b|{name} *=)", re.MULTILINE))
    for pattern in wanted:
        for block in reversed(blocks):
            if pattern.search(block.code):
                return block.code
    named = [block for block in blocks if block.language] or blocks
    return named[-1].code if named else None


def _read_fence(match: re.Match[str]) -> _Fence:
    begins_line = match[2] is not None
    info = match[3] if begins_line else match[5]
    return _Fence(match.start(), match.end(), match[1] or "", info.strip(), begins_line)


def _find_blocks(text: str, fences: list[_Fence]) -> list[_Block]:
    blocks: list[_Block] = []
    place = 0
    if _closes_the_prompts(text, fences):
        blocks.append(_Block("", text[: fences[0].start]))
        place = 1
    while place < len(fences):
        opening = fences[place]
        language, first_line = _read_info(opening.info)
        closing = _find_closing(text, fences, place)
        code = text[opening.end : len(text) if closing is None else fences[closing].start].removeprefix("\n")
        if first_line:
            code = f"{first_line}\n{code}"
        blocks.append(_Block(language, _dedent(code, opening.indent)))
        place = len(fences) if closing is None else closing + 1
    return blocks


def _find_closing(text: str, fences: list[_Fence], place: int) -> int | None:
    """Return the fence that closes a block: bare, indented no further than the block, and outside of docstrings."""
    opening, first = fences[place], None
    counts = dict.fromkeys(('"' * 3, "'" * 3), 0)
    read = opening.end
    for at in range(place + 1, len(fences)):
        fence = fences[at]
        for quotes in counts:
            counts[quotes] += text.count(quotes, read, fence.start)
        read = fence.end
        if fence.info:
            continue
        first = at if first is None else first
        is_outside = all(count % 2 == 0 for count in counts.values())
        if is_outside and len(fence.indent) <= len(opening.indent) + 3:
            return at
    return first


def _closes_the_prompts(text: str, fences: list[_Fence]) -> bool:
    """Return whether the first fence closes a block that the prompt had opened."""
    if fences[0].info or (len(fences) > 1 and not fences[1].info):
        return False
    before, after = text[: fences[0].start], text[fences[0].end :]
    return bool(_LOOKS_LIKE_CODE.search(before)) and (len(fences) > 1 or not _LOOKS_LIKE_CODE.search(after))


def _read_info(info: str) -> tuple[str, str]:
    """Return the language behind an opening fence, in lower case, and code that stands on its line."""
    language, _, rest = info.partition(" ")
    language = language.strip("{}.").casefold()
    if language not in _PYTHON and _CODE_ON_THE_LINE.match(info):
        return "", info
    is_code = bool(_CODE_ON_THE_LINE.match(rest.strip())) and not _ATTRIBUTES.fullmatch(rest.strip())
    return language, rest.strip() if is_code else ""


def _dedent(code: str, indent: str) -> str:
    return "\n".join(line.removeprefix(indent) for line in code.split("\n")) if indent else code
