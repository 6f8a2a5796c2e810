"""What a worker process asks the library math-verify (https://github.com/huggingface/Math-Verify); see `mathematics`.

The library's own timers are off: they need SIGALRM, which reaches only a main thread, cannot end a call into C, and
turn lateness into "not equal". The pool's deadline ends a late call by ending its process.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from rlkit.verifiers.expressions import same_answer
from rlkit.verifiers.spelling import tidy

_DOLLAR = re.compile(r"(?<!\\)\$")
_CLOSE = 5e-6
"""Relative difference of two numbers that agree in six significant digits."""
_MOST_OPERATIONS = 60
"""Larger expressions are not expanded for their key."""


def compare(answer: str, gold: str) -> dict[str, Any]:
    """Return `{"equal": whether the two are one answer, "key": canonical text of the answer}`.

    Raises:
        ValueError: the library reads nothing in the gold answer.
        Exception: whatever the library raises while comparing, unless it finds them equal all the same.
    """
    if not read_expressions(tidy(gold)):
        raise ValueError(f"math-verify reads nothing in the gold answer {gold!r}")
    return {"equal": same_answer(answer, gold, are_equal), "key": canonical_key(read_expressions(tidy(answer)))}


def are_equal(answer: str, gold: str) -> bool:
    """Return whether the library calls two expressions equal, and as numbers they differ by rounding at most."""
    golds, answers = read_expressions(gold), read_expressions(answer)
    return bool(golds and answers) and _verify(golds, answers) and not _differ(golds[0], answers[0])


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


def _differ(gold: Any, answer: Any) -> bool:
    """Return whether both are numbers that are further apart than the sixth significant digit.

    The library rounds to six places behind the point, at which small numbers are all alike.
    """
    import sympy

    if not all(isinstance(each, sympy.Expr) and each.is_number for each in (gold, answer)):
        return False
    try:
        wanted, value = complex(gold), complex(answer)
    except (TypeError, ValueError, OverflowError):
        # Infinities, and numbers beyond floats: the library compared them symbolically.
        return False
    return abs(wanted - value) > _CLOSE * max(abs(wanted), abs(value))


def _verify(golds: list[Any], answers: list[Any]) -> bool:
    from math_verify import verify

    try:
        return bool(verify(golds, answers, timeout_seconds=None, raise_on_error=True))
    except Exception:
        # One reading of the answer broke the comparison; another may still be equal.
        if verify(golds, answers, timeout_seconds=None):
            return True
        raise
