"""What a worker process asks the library math-verify (https://github.com/huggingface/Math-Verify); see `mathematics`.

The library's own timers are off: they need SIGALRM, which reaches only a main thread, cannot end a call into C, and
turn lateness into "not equal". The pool's deadline ends a late call by ending its process.
"""

from __future__ import annotations

import logging
import re
from typing import Any

_DOLLAR = re.compile(r"(?<!\\)\$")
_MOST_OPERATIONS = 60
"""Larger expressions are not expanded for their key."""


def compare(answer: str, gold: str) -> dict[str, Any]:
    """Return `{"equal": whether the library calls the two equal, "key": canonical text of the answer}`.

    Raises:
        ValueError: the library reads nothing in the gold answer.
        Exception: whatever the library raises while comparing, unless it finds them equal all the same.
    """
    golds, answers = read_expressions(gold), read_expressions(answer)
    if not golds:
        raise ValueError(f"math-verify reads nothing in the gold answer {gold!r}")
    return {"equal": _verify(golds, answers), "key": canonical_key(answers)}


def read_expressions(answer: str) -> list[Any]:
    """Return what the library reads in an answer: a SymPy object and the text it came from, or nothing."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return list(parse(as_boxed(answer), parsing_timeout=None))


def as_boxed(answer: str) -> str:
    """Return an answer as the library expects to find one in a text; dollar signs around mathematics are dropped."""
    return f"\\boxed{{{_DOLLAR.sub('', answer)}}}"


def canonical_key(expressions: list[Any]) -> str | None:
    """Return a text that answers share which SymPy brings to one form; None when nothing was read."""
    import sympy  # type: ignore[import-untyped]

    if not expressions:
        return None
    first = expressions[0]
    try:
        if isinstance(first, sympy.Float):
            first = sympy.Rational(str(first))
        if isinstance(first, sympy.Expr) and first.count_ops() <= _MOST_OPERATIONS:
            first = sympy.expand(first)
        return sympy.sstr(first)[:500]
    except Exception:
        # A key only groups wrong answers for votes; what SymPy cannot print is grouped by how it was written.
        return str(expressions[-1])[:500]


def _verify(golds: list[Any], answers: list[Any]) -> bool:
    from math_verify import verify

    try:
        return bool(verify(golds, answers, timeout_seconds=None, raise_on_error=True))
    except Exception:
        # One reading of the answer broke the comparison; another may still be equal.
        if verify(golds, answers, timeout_seconds=None):
            return True
        raise
