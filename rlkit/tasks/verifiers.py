"""How the answers to a data set are judged: `math`, `exact`, `multiple_choice`, or a function of yours.

Your own is named `file.py:fn` and called `fn(completion, row)`; it returns a `Grade`, True or False, a score (1 or more
is correct), or None where it cannot judge. `row` holds every column of the data set, and `gold`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rlkit.errors import ConfigError, suggest
from rlkit.plugins import load_target
from rlkit.types import Grade
from rlkit.verifiers.answers import extract_final_answer, normalise_answer
from rlkit.verifiers.choices import extract_choice
from rlkit.verifiers.mathematics import check_installed, judge_answers
from rlkit.verifiers.quantities import plain_number

Rows = Sequence[Mapping[str, Any]]


class Verifier(Protocol):
    """Judges completions by the columns of their rows."""

    def check(self) -> None:
        """Raise ConfigError when something that judging needs is not installed."""
        ...

    def grade(self, completions: Sequence[str], rows: Rows) -> list[Grade]:
        """Return one grade a completion; never raises on any text."""
        ...

    def write_gold(self, row: Mapping[str, Any]) -> str | None:
        """Return a completion that must be correct, None where gold answers cannot be written as one."""
        ...

    def write_wrong(self, row: Mapping[str, Any]) -> list[str]:
        """Return completions that must not be correct."""
        ...


@dataclass(frozen=True)
class MathVerifier:
    """Equivalence by math-verify; the row's `last_number` says whether a last number counts as an answer."""

    def check(self) -> None:
        """See `Verifier`."""
        check_installed()

    def grade(self, completions: Sequence[str], rows: Rows) -> list[Grade]:
        """See `Verifier`."""
        lenient = [bool(row.get("last_number")) for row in rows]
        answers = [
            extract_final_answer(text, last_number=flag) for text, flag in zip(completions, lenient, strict=True)
        ]
        return judge_answers(answers, [str(row["gold"]) for row in rows])

    def write_gold(self, row: Mapping[str, Any]) -> str | None:
        """See `Verifier`."""
        return f"\\boxed{{{row['gold']}}}"

    def write_wrong(self, row: Mapping[str, Any]) -> list[str]:
        """See `Verifier`."""
        value = plain_number(str(row["gold"]))
        other = "918273645546372819" if value is None else str(value + 1)
        return [f"\\boxed{{{other}}}", "", "I do not know."]


@dataclass(frozen=True)
class ExactVerifier:
    """The final answer, or a completion that announces none as a whole, in the normal form of answers."""

    def check(self) -> None:
        """See `Verifier`."""

    def grade(self, completions: Sequence[str], rows: Rows) -> list[Grade]:
        """See `Verifier`."""
        return [self._grade(text, str(row["gold"])) for text, row in zip(completions, rows, strict=True)]

    def write_gold(self, row: Mapping[str, Any]) -> str | None:
        """See `Verifier`."""
        return f"<answer>{row['gold']}</answer>"

    def write_wrong(self, row: Mapping[str, Any]) -> list[str]:
        """See `Verifier`."""
        return [f"<answer>{row['gold']} and more</answer>", ""]

    def _grade(self, text: str, gold: str) -> Grade:
        stated = extract_final_answer(text)
        answer = normalise_answer(text if stated is None else stated)
        if answer is None:
            return Grade(False, "no_answer")
        correct = answer == normalise_answer(gold)
        return Grade(correct, "correct" if correct else "wrong_answer", answer)


@dataclass(frozen=True)
class ChoiceVerifier:
    """The letter that the completion announces; the row's `choices` are the letters allowed."""

    def check(self) -> None:
        """See `Verifier`."""

    def grade(self, completions: Sequence[str], rows: Rows) -> list[Grade]:
        """See `Verifier`."""
        grades = []
        for text, row in zip(completions, rows, strict=True):
            letter, gold = extract_choice(text, row["choices"]), str(row["gold"]).strip().upper()
            verdict = "no_answer" if letter is None else "correct" if letter == gold else "wrong_answer"
            grades.append(Grade(letter == gold, verdict, letter))
        return grades

    def write_gold(self, row: Mapping[str, Any]) -> str | None:
        """See `Verifier`."""
        return f"\\boxed{{{row['gold']}}}"

    def write_wrong(self, row: Mapping[str, Any]) -> list[str]:
        """See `Verifier`."""
        gold = str(row["gold"]).strip().upper()
        return [*(f"\\boxed{{{letter}}}" for letter in row["choices"] if letter != gold), ""]


@dataclass(frozen=True)
class OwnVerifier:
    """A function of the user's."""

    function: Callable[[str, Mapping[str, Any]], Any]

    def check(self) -> None:
        """See `Verifier`."""

    def grade(self, completions: Sequence[str], rows: Rows) -> list[Grade]:
        """See `Verifier`."""
        return [self._grade(text, row) for text, row in zip(completions, rows, strict=True)]

    def write_gold(self, row: Mapping[str, Any]) -> str | None:
        """See `Verifier`."""
        return str(row["gold"])

    def write_wrong(self, row: Mapping[str, Any]) -> list[str]:
        """See `Verifier`."""
        return [""]

    def _grade(self, text: str, row: Mapping[str, Any]) -> Grade:
        try:
            said = self.function(text, row)
        except Exception:
            return Grade(None, "grader_error")
        if isinstance(said, Grade):
            return said
        if said is None:
            return Grade(None, "not_judged")
        correct = float(said) >= 1.0
        return Grade(correct, "correct" if correct else "wrong_answer")


VERIFIERS: dict[str, Verifier] = {
    "math": MathVerifier(),
    "exact": ExactVerifier(),
    "multiple_choice": ChoiceVerifier(),
}


def find_verifier(name: str) -> Verifier:
    """Return the verifier of a name, or the one around the function that `file.py:fn` or `module:fn` names.

    Raises:
        ConfigError: there is none of that name.
        PluginError: the file or module cannot be imported, or has no such function.
    """
    if name in VERIFIERS:
        return VERIFIERS[name]
    if ":" not in name:
        raise ConfigError(f"No verifier is called {name!r}.{suggest(name, VERIFIERS)} Your own is named as file.py:fn.")
    function = load_target(name, "verifier")
    if not callable(function):
        raise ConfigError(f"The verifier {name!r} is {function!r}, which cannot be called; name a function.")
    return OwnVerifier(function)
