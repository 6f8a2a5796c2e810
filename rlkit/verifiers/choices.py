"""The letter that a completion chooses in a question of multiple choice."""

from __future__ import annotations

import re

from rlkit.verifiers.answers import extract_final_answer

_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|textrm)\s*\{([^{}]*)\}")


def extract_choice(text: str, choices: str = "ABCDE") -> str | None:
    """Return the letter that a completion chooses, in upper case, None when it announces none of `choices`.

    `\\boxed{B}`, `The answer is (b).`, `Answer: B. Paris` and a completion that is nothing but `B` choose B. Letters
    elsewhere in the reasoning choose nothing.
    """
    stated = extract_final_answer(text)
    stated = text if stated is None else stated
    plain = _LATEX_TEXT.sub(r"\1", stated).strip(" \t\n*$\"'")
    found = re.fullmatch(
        r"(?i:option|choice)?\s*(?:\(([A-Za-z])\)|([A-Za-z]))(?:[.:)\]*]+(?:\s.*)?)?", plain, re.DOTALL
    )
    letter = (found[1] or found[2]).upper() if found else ""
    return letter if letter and letter in choices.upper() else None
