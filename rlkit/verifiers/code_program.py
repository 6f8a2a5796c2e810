"""The program that a completion stands for: its code, after what the problem had written already."""

from __future__ import annotations

import ast
import re
from contextlib import suppress

from rlkit.verifiers.code_fences import extract_code


def assemble(completion: str, beginning: str, entry_point: str | None, *, keep_helpers: bool = True) -> str | None:
    """Return the program that a completion stands for, None when it holds no code.

    A block of code that defines the entry point is preceded by the problem's beginning for its imports and helpers
    (`keep_helpers=False` leaves them out); any other text continues that beginning.
    """
    code = extract_code(completion, entry_point)
    if code is None or not code.strip() or not beginning:
        return code
    defines = entry_point is not None and re.search(rf"^(?:async )?def {re.escape(entry_point)}\b", code, re.MULTILINE)
    if defines:
        return f"{as_helpers(beginning)}\n{code}" if keep_helpers else code
    return beginning + code


def as_helpers(beginning: str) -> str:
    """Return a problem's beginning as a program of its own: its last function, which has no body yet, does nothing."""
    for ending in ("", "\n    pass\n", "\n\tpass\n", "\n  pass\n"):
        with suppress(SyntaxError, ValueError):
            ast.parse(beginning + ending)
            return beginning + ending
    return ""
