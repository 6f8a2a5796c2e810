"""The equations of a trace, in a form in which order, spacing and typesetting do not count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from rlkit.arithmetic import Expression, split_steps
from rlkit.verifiers.plain_arithmetic import parse_arithmetic

_MAX_RUN = 400
"""Longest run of signs read as one chain of equations, in characters; longer ones are no prose of a solution."""
_MAX_TOKENS = 24
"""Most tokens at the edge of a chain that are tried as marks of a list or of emphasis."""
_ATOM = r"\\[a-zA-Z]+|\\[,;:! ]|[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
_RUN = re.compile(rf"(?:{_ATOM}|[-+*/^(){{}}_|=&$×÷·⋅−–\[\]]|[ \t])+")
_TOKEN = re.compile(rf"{_ATOM}|\S")
_GROUPING = re.compile(r"(?<=[0-9]),(?=[0-9]{3})")
_LEADING_MARKS = re.compile(r"(?:[-+*_|$&()\[\]{}\s]|[0-9]{1,2}\))*")
_TRAILING_MARKS = re.compile(r"[-+*_|$&()\[\]{}\s]*")
_EDGES = " \t&$*_"


def find_equations(text: str) -> frozenset[str]:
    """Return the equations that stand in a text, each normalised; empty when there is none.

    Chains `a = b = c` are the equations `a = b` and `b = c`, and a step `3 + 5 [8]` of a trace is `3 + 5 = 8`. Sides
    that are arithmetic are in canonical form (order of sums and products, typesetting, decimals); others, with letters
    in them, are compared without blanks. The sides of an equation may be swapped; `8 = 8` says nothing and is left out.
    Marks in front of an equation, such as `- ` or `1)`, are dropped where that makes it true. Whether equations are
    true is otherwise not asked.
    """
    found = set(_step_equations(text))
    for run in _RUN.findall(text):
        if "=" in run and len(run) <= _MAX_RUN:
            found.update(_chain_equations(run))
    return frozenset(found)


def _step_equations(text: str) -> Iterator[str]:
    for step in split_steps(text)[0]:
        expression = parse_arithmetic(f"{step.left.strip('[]')}{step.operation}{step.right.strip('[]')}")
        if expression is not None:
            yield from _equation(expression.key, str(step.claimed))


def _chain_equations(run: str) -> Iterator[str]:
    sides = [side.strip(" \t&$") for side in run.split("=")]
    for place, (left, right) in enumerate(pairwise(sides)):
        lefts = _suffixes(left) if place == 0 else [left]
        rights = _prefixes(right) if place == len(sides) - 2 else [right]
        yield from _read_equation(lefts, rights)


def _read_equation(lefts: list[str], rights: list[str]) -> Iterator[str]:
    """Yield the longest reading that is true, else the longest that is arithmetic, else the text; nothing of blanks."""
    read_lefts = [side for side in map(_parse_side, lefts) if side is not None]
    read_rights = [side for side in map(_parse_side, rights) if side is not None]
    if read_lefts and read_rights:
        pairs = [(left, right) for left in read_lefts for right in read_rights]
        left, right = next((pair for pair in pairs if pair[0].value == pair[1].value), pairs[0])
        yield from _equation(left.key, right.key)
    elif lefts[0].strip(_EDGES) and rights[0].strip(_EDGES):
        yield from _equation(_squeeze(lefts[0]), _squeeze(rights[0]))


def _equation(left: str, right: str) -> Iterator[str]:
    if left != right:
        yield "=".join(sorted((left, right)))


def _parse_side(side: str) -> Expression | None:
    return parse_arithmetic(_GROUPING.sub("", side)) if side else None


def _squeeze(side: str) -> str:
    expression = _parse_side(side)
    return expression.key if expression is not None else "".join(side.strip(_EDGES).split())


def _suffixes(side: str) -> list[str]:
    starts = [match.start() for match in _TOKEN.finditer(side)]
    return [side[start:] for start in starts[:_MAX_TOKENS] if _LEADING_MARKS.fullmatch(side, 0, start)] or [side]


def _prefixes(side: str) -> list[str]:
    ends = [match.end() for match in _TOKEN.finditer(side)]
    return [side[:end] for end in reversed(ends[-_MAX_TOKENS:]) if _TRAILING_MARKS.fullmatch(side, end)] or [side]
