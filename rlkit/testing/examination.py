"""What an examination found: one line a check, and sentences for what failed."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    "thread": "the same off the main thread",
    "pickle": "can be sent to another process",
    "process": "the same in another process",
}
"""Every check and what it asks for, in the order of the report."""

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

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not any(check.failures for check in self.checks.values())

    def fail(self, check: str, sentence: str) -> None:
        """Note a failure, once."""
        if sentence not in self.checks[check].failures:
            self.checks[check].failures.append(sentence)

    def skip(self, check: str, reason: str) -> None:
        """Note that a check is not made."""
        self.checks[check].skipped = reason

    def raise_failures(self) -> None:
        """Raise RewardCheckError with every failure, if there is one."""
        failed = [check for check in self.checks.values() if check.failures]
        if failed:
            lines = [f"  {check.name}: {sentence}" for check in failed for sentence in check.told]
            raise RewardCheckError(
                f"{self.name} failed {len(failed)} of {len(self.checks)} checks:\n" + "\n".join(lines), self
            )
