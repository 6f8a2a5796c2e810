"""The rules that give a comparison its verdict: data, in the order in which they are asked, as in docs/comparing.md.

No rule is satisfied by an estimate: every one needs intervals that lie wholly on one side of a margin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rlkit.evaluation.comparing.margins import Answer


class Front(StrEnum):
    """How a run stands to the base's front over temperature."""

    UNKNOWN = "not compared"
    BEYOND = "beyond"
    MATCHED = "matched"
    OPEN = "not settled"


@dataclass(frozen=True)
class Evidence:
    """What the rules look at: the answers, each of the run against the base."""

    accuracy: Answer
    """pass@1."""
    solved: Answer
    """pass@k at the k that decides; UNKNOWN where k is 1."""
    diversity: Answer
    is_large_loss: bool
    """Whether the interval of diversity shows a loss beyond the margin `collapse`."""
    front: Front

    @property
    def spread(self) -> tuple[Answer, Answer]:
        """The answers beyond the first try."""
        return self.solved, self.diversity

    @property
    def has_wider(self) -> bool:
        """Whether it solves more in k samples or is more diverse, and neither is worse."""
        return Answer.BETTER in self.spread and Answer.WORSE not in self.spread


@dataclass(frozen=True)
class Rule:
    """A word, when it holds, and what to make of it."""

    word: str
    condition: str
    """In words, as in the table of docs/comparing.md."""
    holds: Callable[[Evidence], bool]


def _collapsed(evidence: Evidence) -> bool:
    return evidence.is_large_loss and evidence.solved is Answer.WORSE


def _better(evidence: Evidence) -> bool:
    return evidence.front is Front.BEYOND


def _better_and_broader(evidence: Evidence) -> bool:
    is_gain = evidence.accuracy is Answer.BETTER and evidence.has_wider
    return is_gain and evidence.front is not Front.MATCHED


def _sharper(evidence: Evidence) -> bool:
    return evidence.accuracy is Answer.BETTER


def _broader(evidence: Evidence) -> bool:
    return evidence.has_wider


def _worse(evidence: Evidence) -> bool:
    return Answer.WORSE in (evidence.accuracy, evidence.solved)


def _narrower(evidence: Evidence) -> bool:
    return evidence.diversity is Answer.WORSE


def _no_difference(evidence: Evidence) -> bool:
    measured = {answer for answer in (evidence.accuracy, *evidence.spread) if answer is not Answer.UNKNOWN}
    return measured == {Answer.SAME}


NOT_SETTLED = "not settled"

RULES: tuple[Rule, ...] = (
    Rule(
        "collapsed",
        "diversity lower by more than the margin of a collapse, and pass@k lower by more than its margin",
        _collapsed,
    ),
    Rule(
        "better",
        "beyond the base's front over temperature: where the base has the same pass@1, pass@k or diversity is higher "
        "by more than its margin and neither is lower, at one of the run's temperatures",
        _better,
    ),
    Rule(
        "better and broader",
        "pass@1 higher by more than its margin, and pass@k or diversity too, neither lower; not matched by the base's "
        "front",
        _better_and_broader,
    ),
    Rule("sharper", "pass@1 higher by more than its margin, and none of the above", _sharper),
    Rule(
        "broader",
        "pass@k or diversity higher by more than its margin, neither lower; pass@1 not higher",
        _broader,
    ),
    Rule("worse", "pass@1 or pass@k lower by more than its margin, and none of the above", _worse),
    Rule("narrower", "diversity lower by more than its margin, and none of the above", _narrower),
    Rule("no difference", "every measured one within its margin, shown by its whole interval", _no_difference),
    Rule(NOT_SETTLED, "none of these", lambda evidence: True),
)
"""In order: the first that holds gives the verdict."""

WORDS = tuple(rule.word for rule in RULES)

REFUSED = ("collapsed", "worse", "narrower")
"""Words that `rlkit compare --gate` refuses where it is not told which."""


def apply_rules(evidence: Evidence) -> str:
    """Return the word of the first rule that holds."""
    return next(rule.word for rule in RULES if rule.holds(evidence))
