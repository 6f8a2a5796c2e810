"""What an examination found: one line a check, and sentences for what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlkit.errors import RewardCheckError

CHECKS = {
    "cases": "its own cases hold",
    "chat": "the same as chat messages",
    "empty": "empty and blank completions",
    "truncated": "completions that were cut",
    "unicode": "surrogates, zero width, right to left, control characters",
    "adversarial": "several answers, answers that are code, format strings",
    "huge": "completions of a megabyte",
    "gaming": "no top score for naming the answer without giving it",
    "determinism": "the same twice",
    "order": "the same in any order of rows",
    "inputs": "leaves what it is given as it is",
    "time": "done in time",
    "state": "leaves the program's settings as they are",
    "remains": "leaves no process and no thread behind",
    "output": "prints little",
    "thread": "the same off the main thread",
    "pickle": "can be sent to another process",
    "process": "the same in another process",
}
"""Every check and what it asks for, in the order of the report."""

_TOLD: dict[str, type] = {
    "name": str,
    "form": str,
    "role": str,
    "isolation": str,
    "num_cases": int,
    "num_trials": int,
}
"""Fields of a report that are told to another process."""
_MOST = 3
"""Failures of one check that are told."""


@dataclass
class Check:
    """One check."""

    name: str
    failures: list[str] = field(default_factory=list)
    """Sentences: what happened, and how to mend it."""
    skipped: str | None = None
    """Why it was not made; None where it was."""

    @property
    def status(self) -> str:
        """`passed`, `failed` or `skipped`."""
        return "failed" if self.failures else "skipped" if self.skipped else "passed"

    @property
    def told(self) -> list[str]:
        """The first failures, and how many more there are."""
        more = len(self.failures) - _MOST
        return self.failures[:_MOST] + ([f"and {more} more."] if more > 0 else [])


@dataclass
class RewardReport:
    """What `check_reward` found."""

    name: str
    form: str
    role: str
    isolation: str
    num_cases: int
    checks: dict[str, Check] = field(default_factory=lambda: {name: Check(name) for name in CHECKS})
    num_trials: int = 0
    """Calls of different inputs."""
    tell: Callable[[Any], object] | None = field(default=None, repr=False, compare=False)
    """Takes what is found as it is found, for a program that cannot wait for the report."""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not any(check.failures for check in self.checks.values())

    def fail(self, check: str, sentence: str) -> None:
        """Note a failure, once; what a reward says is written without what a terminal would act on."""
        sentence = _printable(sentence)
        if sentence not in self.checks[check].failures:
            self.checks[check].failures.append(sentence)
            self._tell({"fail": [check, sentence]})

    def skip(self, check: str, reason: str) -> None:
        """Note that a check is not made."""
        self.checks[check].skipped = _printable(reason)
        self._tell({"skip": [check, reason]})

    def leave_open(self, reason: str) -> None:
        """Note of every check that has no verdict of its own that it was not made."""
        for name, check in self.checks.items():
            if check.status == "passed":
                self.skip(name, reason)

    def at(self, check: str, label: str, patience_s: float) -> None:
        """Tell what is done next, and how many seconds it may take."""
        self._tell({"at": [check, label, patience_s]})

    def begin(self) -> None:
        """Tell what is examined."""
        self._tell({"begun": {name: getattr(self, name) for name in _TOLD}})

    def take(self, told: Mapping[str, Any]) -> None:
        """Take what `begin` told in another process."""
        for name, kind in _TOLD.items():
            setattr(self, name, kind(_printable(str(told[name]))))

    def _tell(self, what: dict[str, Any]) -> None:
        if self.tell is not None:
            self.tell(what)

    def raise_failures(self) -> None:
        """Raise RewardCheckError with every failure, if there is one."""
        failed = [check for check in self.checks.values() if check.failures]
        if failed:
            lines = [f"  {check.name}: {sentence}" for check in failed for sentence in check.told]
            raise RewardCheckError(
                f"{self.name} failed {len(failed)} of {len(self.checks)} checks:\n" + "\n".join(lines), self
            )


def _printable(text: str) -> str:
    """Return a text with control characters written out, lest they act on the terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
