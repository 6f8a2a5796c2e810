"""What a comparison shows, in one word by stated rules, and what it would take to know where it shows nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rlkit.estimators import Needed, holm_p_values, pass_at_k_variance, plan_for_difference
from rlkit.evaluation.comparing.paired_columns import PairedStatistics
from rlkit.evaluation.comparing.pairing import Pairing
from rlkit.evaluation.comparing.verdict_rules import (
    INCONCLUSIVE,
    RULES,
    SMALLEST_CHANGE,
    Decision,
    Evidence,
    Rule,
    describe_difference,
    describe_p,
)

FAILING_WORDS = ("harmful collapse", "shrinkage", "regression")
"""Verdicts for which `rlkit compare --gate` fails; all of them lead over the others."""

Verdict = dict[str, Any]
"""`{"word", "sentence", "rule", "deciding", "also", "needed"}`."""


def reach_budget(n: int) -> int:
    """Return the budget that stands for "many samples": n/2, beyond which pass@k is too noisy to lean on."""
    return max(1, n // 2)


def adjust_questions(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the p-values of the questions that a verdict asks, adjusted for each other; NaN for what is undefined."""
    given = [math.nan if p_value is None else p_value for p_value in p_values.values()]
    return dict(zip(p_values, holm_p_values(given).tolist(), strict=True))


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict of the first rule that holds, with the other words that hold as well.

    Returns:
        `word`; `sentence`, which names the number that decided; `rule`, its name in docs/comparing.md, None where
        none holds; `deciding`, that number; `also`, the rules of other words that hold, as `{"word", "rule", "says",
        "deciding"}`; `needed`, empty (`plan_needed` fills it for an inconclusive one).
    """
    found = [(rule, decided) for rule in RULES if (decided := rule.decide(evidence))]
    if not found:
        return _verdict(INCONCLUSIVE, f"{INCONCLUSIVE}: {_nothing_shown(evidence)}.", None, {}, [])
    by_word: dict[str, tuple[Rule, Decision]] = {}
    for rule, decided in found:
        by_word.setdefault(rule.word, (rule, decided))
    (rule, decided), *others = by_word.values()
    says = [decided.says, *(f"also {other.word}: {what.says}" for other, what in others)]
    return _verdict(rule.word, f"{rule.word}: {'; '.join(says)}.", rule.name, decided.deciding, others)


def plan_needed(pairing: Pairing, statistics: PairedStatistics, evidence: Evidence, power: float = 0.8) -> Verdict:
    """Return what would settle an inconclusive comparison, by the question whose p-value is smallest.

    Returns:
        `{"quantity", "more_problems", "more_samples", "says", ...}` with the fields of `Needed`: problems and samples
        beyond the present ones that would show a difference of the size that was seen with this power, at the level of
        the first step of Holm's adjustment; None where no number would, or it is not known.
    """
    asked = {1: evidence.accuracy} | ({evidence.reach_k: evidence.reach} if evidence.reach else {})
    asked = {k: cell for k, cell in asked.items() if cell["p_value"] is not None and cell["low"] is not None}
    if not asked:
        return {}
    k = min(asked, key=lambda k: (abs(asked[k]["difference"]) < SMALLEST_CHANGE, asked[k]["p_value"]))
    num_questions = sum(not math.isnan(p_value) for p_value in evidence.adjusted.values())
    n_base, c_base, n_run, c_run = pairing.counts()
    within_M = np.asarray(pass_at_k_variance(n_base, c_base, k)) + np.asarray(pass_at_k_variance(n_run, c_run, k))
    is_known = not np.isnan(within_M).all()
    plan = plan_for_difference(
        asked[k]["difference"],
        float(statistics.errors_K[statistics.names.index(f"pass@{k}")]),
        asked[k]["num_defined"],
        evidence.n,
        float(np.nanmean(within_M)) if is_known else math.nan,
        level=1.0 - (1.0 - evidence.level) / num_questions,
        power=power,
    )
    return {"quantity": f"pass@{k}", **_more(plan, asked[k]["num_defined"], evidence.n, f"pass@{k}"), **plan.as_json()}


def _more(plan: Needed, num_problems: int, num_samples: int, quantity: str) -> dict[str, Any]:
    problems, samples = plan.num_problems - num_problems, plan.num_samples - num_samples
    more_problems = max(1, int(problems)) if math.isfinite(problems) else None
    more_samples = max(1, int(samples)) if math.isfinite(samples) else None
    says = _plan_sentence(plan, more_problems, more_samples, quantity)
    return {"more_problems": more_problems, "more_samples": more_samples, "says": says}


def _plan_sentence(plan: Needed, more_problems: int | None, more_samples: int | None, quantity: str) -> str:
    if plan.standard_error == 0.0:
        return "No problem differs, so there is nothing that more of them could show."
    shows = f"A true difference in {quantity} of {plan.detectable:.3f} would show in {plan.power:.0%} of the cases"
    if more_problems is None:
        return f"{shows}; none was seen, so no number of problems or samples is known to show one."
    words = f"{shows}; one of {abs(plan.difference):.3f}, as was seen, takes {more_problems:,} more problems"
    if more_samples is not None:
        return f"{words}, or {more_samples:,} more samples a problem on these."
    if math.isnan(plan.num_samples):
        return f"{words}; what more samples would do is not known from so few."
    between = 1.0 - plan.within_share
    return f"{words}; more samples cannot show it, as {between:.0%} of the variance is between problems."


def _nothing_shown(evidence: Evidence) -> str:
    if evidence.accuracy["difference"] is None:
        return "no problem has graded samples on both sides"
    questions = [(1, "accuracy", evidence.accuracy), (evidence.reach_k, "reach", evidence.reach)]
    says = [
        f"pass@{k} {describe_difference(cell)} (adjusted {describe_p(evidence.adjusted[question])})"
        for k, question, cell in questions
        if cell is not None and cell["difference"] is not None
    ]
    table = evidence.support
    says.append(
        f"lost {table['lost']} and gained {table['gained']} problems"
        f" (adjusted {describe_p(evidence.adjusted['support'])})"
    )
    return ", ".join(says)


def _verdict(
    word: str, sentence: str, rule: str | None, deciding: Mapping[str, Any], also: list[tuple[Rule, Decision]]
) -> Verdict:
    listed = [{"word": r.word, "rule": r.name, "says": d.says, "deciding": dict(d.deciding)} for r, d in also]
    return {
        "word": word,
        "sentence": sentence,
        "rule": rule,
        "deciding": dict(deciding),
        "also": listed,
        "needed": {},
    }
