"""The rules that give a comparison its verdict: data, in the order in which they are asked, worst word first.

Every rule needs a p-value or an interval; none is satisfied by a point estimate. Accuracy, reach and support are three
questions asked at once, so their p-values are adjusted (Holm): between two evaluations of one and the same model, all
three together find a difference in at most one case of twenty. docs/comparing.md shows the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlkit.estimators import DiversityLoss
from rlkit.evaluation.diversity.measuring import HEADLINE
from rlkit.evaluation.metrics.cells import CellJson

INCONCLUSIVE = "inconclusive"

SMALLEST_CHANGE = 0.001
"""A smaller change of a mean decides nothing, however sure: where both solve every problem, pass@(n/2) may differ by
millionths, and all in one direction."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at. `a` is the base, `b` the run; missing quantities are None."""

    level: float
    n: int
    reach_k: int
    accuracy: CellJson
    """pass@1."""
    reach: CellJson | None
    """pass@reach_k, at the largest budget of at most n/2; None where that is 1."""
    entropy: CellJson | None
    """Entropy of the answers, where n is the same."""
    support: Mapping[str, Any]
    crossing: Mapping[str, Any]
    narrowed: Mapping[str, DiversityLoss]
    """Measures of diversity whose loss is mostly narrowing among correct answers."""
    adjusted: Mapping[str, float]
    """p-values of `accuracy`, `reach` and `support`, adjusted for each other; NaN where undefined."""

    def shows(self, question: str, sign: int) -> bool:
        """Return whether accuracy or reach changed in one direction, by its interval and its adjusted p-value."""
        cell = getattr(self, question)
        return self.suggests(cell, sign) and self.adjusted[question] < 1.0 - self.level

    def suggests(self, cell: CellJson | None, sign: int) -> bool:
        """Return whether a quantity changed in one direction when it is looked at alone."""
        if cell is None or cell["p_value"] is None:
            return False
        # With a single problem there is no interval, and nothing is shown.
        limit = cell["low"] if sign > 0 else cell["high"]
        is_clear = limit is not None and sign * limit > 0 and cell["p_value"] < 1.0 - self.level
        return is_clear and sign * cell["difference"] >= SMALLEST_CHANGE


@dataclass(frozen=True)
class Decision:
    """The number that decided, for JSON, and what it says, as the end of a sentence about the run."""

    deciding: Mapping[str, Any]
    says: str


@dataclass(frozen=True)
class Rule:
    """A word, and when it holds."""

    word: str
    name: str
    condition: str
    """In words, as in the table of docs/comparing.md."""
    decide: Callable[[Evidence], Decision | None]


def _narrowing(evidence: Evidence) -> Decision | None:
    if not evidence.narrowed:
        return None
    # Of several that say the same, the one that is easiest to understand speaks.
    surest = max(evidence.narrowed, key=lambda each: evidence.narrowed[each].rho.low)
    name = next((each for each in HEADLINE if each in evidence.narrowed), surest)
    loss = evidence.narrowed[name]
    deciding = {"quantity": f"rho of {name}", **loss.rho.as_cell()}
    # A share above 1 means that diversity of wrong answers grew meanwhile.
    share = "all" if loss.rho.value >= 1.0 else f"{loss.rho.value:.0%}"
    where = f", on {loss.num_problems} problems" if loss.num_problems < loss.rho.num_total else ""
    rho = f"{loss.rho.value:.2f} [{loss.rho.low:.2f}, {loss.rho.high:.2f}]"
    return Decision(
        deciding, f"correct answers narrowed: {share} of its loss of {name} is among them (rho {rho}{where})"
    )


def _support(sign: int) -> Callable[[Evidence], Decision | None]:
    def decide(evidence: Evidence) -> Decision | None:
        table = evidence.support
        p_value = evidence.adjusted["support"]
        if not (sign * (table["gained"] - table["lost"]) > 0 and p_value < 1.0 - evidence.level):
            return None
        deciding = {"quantity": "nscr", "value": table["nscr"], "p_value": table["mcnemar_p"], "p_adjusted": p_value}
        says = f"it lost {table['lost']} problems and gained {table['gained']} (McNemar {describe_p(p_value)})"
        return Decision(deciding, says)

    return decide


def _crossing(evidence: Evidence) -> Decision | None:
    found = evidence.crossing
    if found["k_star"] is None or found["high"] is None or found["high"] > evidence.n / 2:
        return None
    deciding = {"quantity": "k_star", "value": found["k_star"], "low": found["low"], "high": found["high"]}
    limits = f"[{found['low']:.3g}, {found['high']:.3g}]"
    return Decision(deciding, f"the base solves more from k = {found['k_star']:.3g} samples on {limits}")


def _changed(question: str, sign: int) -> Callable[[Evidence], Decision | None]:
    def decide(evidence: Evidence) -> Decision | None:
        return _decision(evidence, question) if evidence.shows(question, sign) else None

    return decide


def _sharpening(evidence: Evidence) -> Decision | None:
    # What is not known is not "not up".
    if evidence.reach is None or evidence.reach["difference"] is None or evidence.entropy is None:
        return None
    is_flatter = evidence.shows("accuracy", 1) and not evidence.suggests(evidence.reach, 1)
    if not (is_flatter and evidence.suggests(evidence.entropy, -1)):
        return None
    decided = _decision(evidence, "accuracy")
    reach, entropy = (describe_difference(cell) for cell in (evidence.reach, evidence.entropy))
    but = f"but pass@{evidence.reach_k} is not shown to rise ({reach}) and answer entropy fell ({entropy})"
    return Decision(decided.deciding, f"{decided.says}, {but}")


def _improvement(evidence: Evidence) -> Decision | None:
    if _sharpening(evidence) or any(evidence.suggests(cell, -1) for cell in (evidence.accuracy, evidence.reach)):
        return None
    better = [question for question in ("accuracy", "reach") if evidence.shows(question, 1)]
    return _decision(evidence, better[0]) if better else None


RULES: tuple[Rule, ...] = (
    Rule(
        "harmful collapse",
        "narrowing among correct answers",
        "by some measure of diversity, all outputs lost (1 % of the base's or more, interval above 0) and more than "
        "half of that, rho, is lost among correct outputs (interval above 1/2); on at least 10 problems and a tenth of "
        "those compared, at a level adjusted for the number of measures",
        _narrowing,
    ),
    Rule(
        "shrinkage",
        "support lost",
        "more problems lost than gained; McNemar's p, adjusted, below 0.05",
        _support(-1),
    ),
    Rule(
        "shrinkage",
        "overtaken by the base",
        "the base overtakes at k*, and the upper limit of k* is at most n/2",
        _crossing,
    ),
    Rule(
        "shrinkage",
        "reach down",
        "pass@(n/2) lower: interval below 0 and p, adjusted, below 0.05",
        _changed("reach", -1),
    ),
    Rule(
        "regression",
        "accuracy down",
        "pass@1 lower: interval below 0 and p, adjusted, below 0.05",
        _changed("accuracy", -1),
    ),
    Rule(
        "sharpening",
        "accuracy up, reach not, entropy down",
        "pass@1 higher (interval above 0 and p, adjusted, below 0.05), pass@(n/2) not shown to be higher even alone, "
        "and answer entropy lower (interval below 0 and p below 0.05)",
        _sharpening,
    ),
    Rule(
        "expansion",
        "support gained",
        "more problems gained than lost; McNemar's p, adjusted, below 0.05",
        _support(1),
    ),
    Rule(
        "improvement",
        "accuracy or reach up",
        "pass@1 or pass@(n/2) higher (interval above 0 and p, adjusted, below 0.05), neither shown to be lower even "
        "alone, and no sharpening",
        _improvement,
    ),
)
"""In order: the first that holds gives the verdict, the others that hold are listed as `also`."""


def _decision(evidence: Evidence, question: str) -> Decision:
    cell = getattr(evidence, question)
    k = 1 if question == "accuracy" else evidence.reach_k
    p_value = evidence.adjusted[question]
    kept = {key: cell[key] for key in ("difference", "low", "high", "p_value")}
    way = "rose" if cell["difference"] > 0 else "fell"
    says = (
        f"pass@{k} {way} from {cell['a']:.3f} to {cell['b']:.3f} ({describe_difference(cell)}, {describe_p(p_value)})"
    )
    return Decision({"quantity": f"pass@{k}", **kept, "p_adjusted": p_value}, says)


def describe_difference(cell: CellJson) -> str:
    """Return a difference with its interval, as text."""
    limits = "" if cell["low"] is None else f" [{cell['low']:+.3f}, {cell['high']:+.3f}]"
    return f"{cell['difference']:+.3f}{limits}"


def describe_p(value: float) -> str:
    """Return a p-value as text."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
