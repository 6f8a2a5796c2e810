"""The answer that a completion gives: what the verifiers of tasks and of reward plug-ins judge."""

from __future__ import annotations

import re

from rlkit.verifiers.answers import announced_answer, normalise_answer

__all__ = ["extract_choice", "extract_final_answer", "normalise_answer"]

_NUMBER = re.compile(r"(?<![\w.,/])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?(?![\w/])")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|textrm)\s*\{([^{}]*)\}")
_LONGEST_NUMBER_SEARCH = 4000
"""Characters from the end in which the last number is looked for."""


def extract_final_answer(text: str, *, last_number: bool = False) -> str | None:
    """Return the final answer of a completion as it was written, None when it gives none.

    The last closed `\\boxed{...}` (braces balanced) or `<answer>...</answer>` counts; without one, the last `#### x` or
    `the answer is x`.

    Args:
        text: the completion.
        last_number: whether a text that announces nothing answers with its last number. Lenient: it also rewards a
            completion that stopped in the middle of its reasoning.
    """
    answer = announced_answer(text)
    if answer is not None or not last_number:
        return answer
    numbers = _NUMBER.findall(text[-_LONGEST_NUMBER_SEARCH:])
    return numbers[-1] if numbers else None


def extract_choice(text: str, choices: str = "ABCDE") -> str | None:
    """Return the letter that a completion chooses, in upper case, None when it announces none of `choices`.

    `\\boxed{B}`, `The answer is (b).`, `Answer: B. Paris` and a completion that is nothing but `B` choose B. Letters
    elsewhere in the reasoning choose nothing.
    """
    stated = announced_answer(text)
    stated = text if stated is None else stated
    plain = _LATEX_TEXT.sub(r"\1", stated).strip(" \t\n*$\"'")
    found = re.fullmatch(
        r"(?i:option|choice)?\s*(?:\(([A-Za-z])\)|([A-Za-z]))(?:[.:)\]*]+(?:\s.*)?)?", plain, re.DOTALL
    )
    letter = (found[1] or found[2]).upper() if found else ""
    return letter if letter and letter in choices.upper() else None
