"""The letter that a completion chooses in a question of multiple choice."""

from __future__ import annotations

import re

from rlkit.verifiers.announcements import Announcement, find_answer

_LONGEST = 1000
"""Characters of an announced choice that are looked at."""
_WRAPPED = re.compile(r"\\(?:text|mathrm|mathbf|mathit|textbf|textrm|boldsymbol)\s*\{([^{}]*)\}")
_CHOSEN = re.compile(
    r"\b(?:option|choice)\b[ \t*]*+(?:is\b|[:=])[ \t:*]*+(?=\S)|\bI\s+(?:choose|pick|select)\s+(?=\S)"
    r"|(?<!\band )(?<!\bor )(?<!\bnor )(?<![\w(])(?=\(?[A-Z]\)?\s+is\s+(?:the\s+)?(?:correct|right)\b)",
    re.IGNORECASE,
)
"""What announces a letter beside what announces any answer."""
_AROUND = " \t\n*_`$\"'“”‘’~"
_LETTER = re.compile(
    r"(?:the\s++)?(?:correct\s++)?(?:(?:answer|option|choice)[\s:]*+)*+[*_`$]*+"
    r"(?:\(\s*([A-Za-z])\s*\)|\[\s*([A-Za-z])\s*\]|\{\s*([A-Za-z])\s*\}|([A-Za-z])(?![\w'’]))(.*)",
    re.DOTALL | re.IGNORECASE,
)
_MARK = re.compile(
    r"\s*[*_`$\"'”’]*\s*(?:[.,:;)\]}~]|[-–—]\s|\s[-–—])|\s+(?:because|since|as|which|so|is\s+(?:correct|right|the))\b",
    re.IGNORECASE,
)
"""What parts a letter without brackets from the words behind it."""
_ANOTHER = re.compile(
    r"[\s*_`$.,;/&]*+(?:(?:and|or|nor)\s++)?(?:option\s++|choice\s++)?[*_`$]*+"
    r"(?:\([A-Za-z]\)|[A-Z](?![\w'’])(?!\s+\w))"
    r"|[\s*_`$.,;]*+(?:and|or|nor)\s++(?:option\s++|choice\s++)?[*_`$(]*+[A-Z](?![\w'’])"
)
"""A second letter behind the first: then none is chosen."""


def extract_choice(text: str, choices: str = "ABCDE") -> str | None:
    """Return the letter that a completion chooses, in upper case, None when it announces none of `choices`, or several.

    `\\boxed{B}`, `The answer is (b).`, `Answer: B. Paris`, `Option B is correct` and a completion that is nothing but
    `B` choose B; so does a letter with one of the usual marks behind it, as in `B) Paris`, `B - Paris` or `B, because`.
    Letters elsewhere in the reasoning choose nothing.
    """
    letter = _read_letter(_announced(text))
    return letter if letter and letter in choices.upper() else None


def _announced(text: str) -> str:
    found = find_answer(text)
    if found is None:
        found = _last_chosen(text)
    if found is None:
        return text
    return found.content


def _last_chosen(text: str) -> Announcement | None:
    start = max((match.end() for match in _CHOSEN.finditer(text)), default=None)
    if start is None:
        return None
    return Announcement(text[start:].partition("\n")[0], len(text), False)


def _read_letter(stated: str) -> str | None:
    plain = _WRAPPED.sub(r" \1 ", stated[:_LONGEST]).strip(_AROUND)
    found = _LETTER.fullmatch(plain)
    if found is None:
        return None
    bracketed, bare, rest = found[1] or found[2] or found[3], found[4], found[5]
    behind = rest.strip(_AROUND)
    if behind and _ANOTHER.match(rest):
        return None
    if bare and behind and not _MARK.match(rest):
        return None
    return (bracketed or bare).upper()
