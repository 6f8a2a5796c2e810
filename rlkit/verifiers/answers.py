"""Which final answer a completion gives, as it was written and in the form in which answers are compared."""

from __future__ import annotations

import re
from fractions import Fraction

from rlkit.arithmetic import MalformedExpressionError, finish, parse, replay_steps, split_steps, term_key
from rlkit.verifiers.announcements import find_answer, find_marked, last_boxed
from rlkit.verifiers.normalisation import normalise_text
from rlkit.verifiers.plain_arithmetic import parse_arithmetic
from rlkit.verifiers.quantities import plain_number
from rlkit.verifiers.spelling import tidy

NO_ANSWER = "<no answer>"
"""Feature of a completion that gives no final answer."""
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|,?\s(?:because|since|so|as|which)\s")
_NUMBER_AND_WORDS = re.compile(r"\\?\$?([-+]?\d[\d,]*+(?:\.\d+)?(?:/\d+)?)(?: +(?!pi\b|sqrt)[^\W\d]{2,}[^\d=+*/^\\]*)?")
_SILENT = re.compile(r"\\?\$|\\[()\[\],;:! ]|\\(?=%)|\\left(?![a-z])|\\right(?![a-z])")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_ASSIGNMENT = re.compile(r"^[A-Za-z]\s*=\s*(?=\S)")
_BLANKS_AT_SIGNS = re.compile(r"\s*([^\w\s])\s*")
_NUMBER = re.compile(
    r"(?<![\w.,/^}])[-+]?(?:\d{1,3}(?:(?:,|\\,|\{,\}|[ \u00a0\u2009\u202f])\d{3}(?!\d))++|\d++)(?:\.\d++)?+"
    r"(?:[eE][-+]?\d++|/\d++)?+"
    # A unit may be stuck to it; ordinals, algebra and names with digits are no numbers.
    r"(?!\w*[\d_^/])(?!(?:st|nd|rd|th)\b)(?![a-ln-rt-zA-Z]\b)"
)
_SAID_LAST = re.compile(
    r"(?=[^\W\d_])[^\n]{0,200}?\b(?:is|are|equals)[ \t:]++((?:[-+$(]|\\[$(])*+\d\S*+(?:[ \t]++[^\W\d_]{1,20})?)\.?",
    re.IGNORECASE,
)
_SAID_FIRST = re.compile(
    r"(?=\S*?\d)(\S++)[ \t]++is[ \t]++(?:the|my)[ \t]++(?:final[ \t]++|correct[ \t]++)?(?:answer|solution|result)\.?",
    re.IGNORECASE,
)
_LONGEST_SENTENCE = 1000
"""Characters of an answer that is read as a sentence; a longer one is no sentence about a number."""
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
    answer = _announced_answer(text)
    if answer is not None or not last_number:
        return answer
    numbers = _NUMBER.findall(text[-_LONGEST_NUMBER_SEARCH:])
    return numbers[-1] if numbers else None


def said_number(answer: str) -> str | None:
    """Return the number of an answer that is a sentence, as `The value is 42.`, None where it is none."""
    plain = answer.strip()
    if len(plain) > _LONGEST_SENTENCE:
        return None
    found = _SAID_FIRST.fullmatch(plain) or _SAID_LAST.fullmatch(plain)
    return found[1].rstrip(".") if found else None


def read_answer(text: str) -> str | None:
    """Return the normalised final answer of a completion, None when it gives none.

    What is announced (see `cut_after_answer`) counts; of a text that announces nothing, the value of the steps that it
    consists of (`3 + 5 [8] 8 * [8] [64]` gives `64`) or of the bare expression that it is. Numbers are exact: `24`,
    `24.0`, `\\frac{48}{2}`, `(3+5)*3` and `x = 24` are all `24`; `1,000` is `1000` and `0.5` is `1/2`. Other answers
    are compared as text without case, LaTeX spacing, and blanks around punctuation. Units and words behind a number
    are dropped in `answer is ...` lines only.
    """
    found = find_answer(text)
    if found is not None:
        return normalise_answer(found.content if found.is_closed else _trim_line(found.content))
    value = _value_of_steps(text)
    if value is None and (expression := parse_arithmetic(text.partition("=")[0])) is not None:
        value = expression.value
    return None if value is None else str(value)


def normalise_answer(answer: str) -> str | None:
    """Return an answer in the form in which answers are compared, None when nothing is left of it."""
    boxed = last_boxed(answer)
    plain = _SILENT.sub("", tidy(boxed.content if boxed is not None else answer))
    plain = _LATEX_TEXT.sub(r"\1", plain).strip(" \t\n*`").rstrip(".").strip()
    plain = _ASSIGNMENT.sub("", plain)
    if (number := plain_number(plain)) is not None:
        return str(number)
    if (expression := parse_arithmetic(plain.partition("=")[0])) is not None:
        return str(expression.value)
    if not plain:
        return None
    return _BLANKS_AT_SIGNS.sub(r"\1", normalise_text(plain)) or None


def solution_key(text: str) -> str | None:
    """Return the canonical key of the solution in a completion, None when none can be read.

    Looked for in this order: the last `\\boxed{}` or `<answer>`, a trace of steps that are all true, a bare
    expression. An expression may be followed by `= number`. Whether the solution fits a problem (its numbers, its
    target) is not asked.
    """
    found = find_marked(text)
    if found is None:
        steps, rest = split_steps(text)
        if steps:
            last = replay_steps(steps).last if not rest else None
            return None if last is None else term_key(last)
    try:
        return parse((text if found is None else found.content).partition("=")[0]).key
    except (MalformedExpressionError, ZeroDivisionError):
        return None


def _announced_answer(text: str) -> str | None:
    found = find_answer(text)
    return None if found is None else (found.content if found.is_closed else _trim_line(found.content)).strip() or None


def _trim_line(content: str) -> str:
    """Return the first sentence of a line, and of that the number alone where only words follow it."""
    sentence = _SENTENCE_END.split(content, maxsplit=1)[0]
    number = _NUMBER_AND_WORDS.fullmatch(sentence.strip(" \t*"))
    return number[1].rstrip(",") if number else sentence


def _value_of_steps(text: str) -> Fraction | None:
    steps, rest = split_steps(text)
    last = replay_steps(steps).last if steps and not rest else None
    return None if last is None else finish(last).value
