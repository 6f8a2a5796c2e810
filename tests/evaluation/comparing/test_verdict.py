"""Every word of the verdict from a simulated model that deserves it, and no word where nothing is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rlkit.estimators import Interval
from rlkit.estimators.decomposition import DiversityLoss
from rlkit.evaluation import compare_runs
from rlkit.evaluation.comparing.verdict import FAILING_WORDS, adjust_questions, judge, reach_budget
from rlkit.evaluation.comparing.verdict_rules import RULES, Evidence
from tests.evaluation.simulated import simulate_report

EASY, HARD = np.full(100, 0.5), np.full(60, 0.03)
BASE = np.concatenate([EASY, HARD])
N = 64
RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.1, len(BASE))


def verdict(base: np.ndarray, run: np.ndarray, entropy_change: float = 0.0, **options: Any) -> dict[str, Any]:
    """Return the verdict on two simulated models."""
    a = simulate_report("base", base, N, 1, diversity=options.get("diversity_a"))
    b = simulate_report(
        "run", run, N, 2, entropies_M=1.0 + entropy_change + NOISE[: len(run)], diversity=options.get("diversity_b")
    )
    found: dict[str, Any] = compare_runs(a, b)["verdict"]
    return found


def diversity(loss_all: float, loss_correct: float) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    spread = rng.normal(0, 0.02, (2, len(BASE)))
    return {"all": {"vendi": 0.8 - loss_all + spread[0]}, "correct": {"vendi": 0.6 - loss_correct + spread[1]}}


def test_sharpening() -> None:
    found = verdict(BASE, np.concatenate([EASY + 0.15, HARD]), entropy_change=-0.3)
    assert (found["word"], found["also"]) == ("sharpening", [])
    assert found["deciding"]["quantity"] == "pass@1"
    assert f"{found['deciding']['difference']:+.3f}" in found["sentence"]
    assert "answer entropy fell" in found["sentence"]


def test_improvement_where_entropy_did_not_fall() -> None:
    found = verdict(BASE, np.concatenate([EASY + 0.15, HARD]))
    assert (found["word"], found["rule"]) == ("improvement", "accuracy or reach up")


def test_shrinkage_by_support() -> None:
    found = verdict(BASE, np.concatenate([EASY + 0.15, 0 * HARD]), entropy_change=-0.3)
    assert (found["word"], found["rule"], found["deciding"]["quantity"]) == ("shrinkage", "support lost", "nscr")
    assert found["deciding"]["value"] < 0
    assert [other["word"] for other in found["also"]] == ["sharpening"]
    assert "also sharpening" in found["sentence"]


def test_regression() -> None:
    found = verdict(BASE, np.concatenate([EASY - 0.15, HARD]))
    assert (found["word"], found["deciding"]["quantity"]) == ("regression", "pass@1")
    assert "fell from" in found["sentence"]


def test_expansion() -> None:
    found = verdict(np.concatenate([EASY, 0 * HARD]), np.concatenate([EASY, HARD + 0.02]))
    assert (found["word"], found["rule"]) == ("expansion", "support gained")
    assert found["deciding"]["value"] > 0
    assert found["deciding"]["p_adjusted"] < 0.05


def test_harmful_collapse_leads_over_what_it_bought() -> None:
    better = np.concatenate([EASY + 0.15, HARD])
    found = verdict(BASE, better, entropy_change=-0.3, diversity_a=diversity(0, 0), diversity_b=diversity(0.2, 0.17))
    assert (found["word"], found["deciding"]["quantity"]) == ("harmful collapse", "rho of vendi")
    assert found["deciding"]["low"] > 0.5
    assert [other["word"] for other in found["also"]] == ["sharpening"]


def test_losing_wrong_answers_alone_is_no_collapse() -> None:
    better = np.concatenate([EASY + 0.15, HARD])
    found = verdict(BASE, better, entropy_change=-0.3, diversity_a=diversity(0, 0), diversity_b=diversity(0.2, 0.02))
    assert found["word"] == "sharpening"


def test_a_sure_but_tiny_loss_is_no_collapse() -> None:
    found = verdict(BASE, BASE, diversity_a=diversity(0, 0), diversity_b=diversity(0.006, 0.006))
    assert found["word"] == "inconclusive"


def test_a_few_problems_do_not_speak_for_all() -> None:
    def on(num: int) -> dict[str, Any]:
        base, run = diversity(0, 0), diversity(0.2, 0.17)
        for sides in (base, run):
            sides["correct"]["vendi"][num:] = np.nan
        return verdict(BASE, BASE, diversity_a=base, diversity_b=run)

    assert len(BASE) == 160
    assert (on(2)["word"], on(15)["word"], on(16)["word"]) == ("inconclusive", "inconclusive", "harmful collapse")
    assert "on 16 problems" in on(16)["sentence"]


@pytest.mark.parametrize("name", ["self_bleu_at_4", "compression_at_16", "parsed"])
def test_less_redundancy_is_no_loss_of_diversity(name: str) -> None:
    base, run = (
        {part: {name: found["vendi"]} for part, found in sides.items()}
        for sides in (diversity(0, 0), diversity(0.2, 0.17))
    )
    found = compare_runs(
        simulate_report("a", BASE, N, 1, diversity=base), simulate_report("b", BASE, N, 1, diversity=run)
    )
    assert found["verdict"]["word"] == "inconclusive"
    assert found["decomposition"] == {}
    assert f"all/{name}" not in found["retained"]
    assert found["diversity"]["all"][name]["difference"] < 0


def test_near_the_border_nothing_is_claimed() -> None:
    found = verdict(BASE, np.concatenate([EASY + 0.01, HARD]))
    assert (found["word"], found["rule"], found["deciding"], found["also"]) == ("inconclusive", None, {}, [])
    needed = found["needed"]
    assert needed["more_problems"] > 0
    assert needed["detectable"] > abs(needed["difference"])
    assert f"{needed['more_problems']:,} more problems" in needed["says"]


def test_more_samples_are_only_advised_where_they_help() -> None:
    # Half of the problems gain and half lose, so almost all variance is between problems.
    mixed = verdict(EASY, EASY + np.where(np.arange(100) % 2, 0.2, -0.18))["needed"]
    assert mixed["more_samples"] is None
    assert mixed["within_share"] < 0.5
    assert "more samples cannot show it" in mixed["says"]
    even = verdict(EASY, EASY + 0.02)["needed"]
    assert even["within_share"] > 0.8
    assert even["more_samples"] is None or even["more_samples"] > 0


def test_a_run_against_itself_is_inconclusive_and_nothing_would_settle_it() -> None:
    a = simulate_report("base", BASE, N, 1)
    found = compare_runs(a, a)["verdict"]
    assert found["word"] == "inconclusive"
    assert found["needed"]["more_problems"] is None
    assert "No problem differs" in found["needed"]["says"]


def test_where_both_solve_everything_millionths_are_no_shrinkage() -> None:
    changes = np.where(np.arange(100) % 2, 0.19, -0.18)
    found = compare_runs(simulate_report("a", EASY, N, 1), simulate_report("b", EASY + changes, N, 2))
    assert found["pass_at_k"]["32"]["p_value"] < 0.05
    assert found["verdict"]["word"] == "inconclusive"
    assert found["crossing"]["k_star"] is None
    assert found["verdict"]["needed"]["quantity"] == "pass@1"


def test_one_problem_shows_nothing() -> None:
    a, b = (simulate_report(name, np.array([rate]), N, 1) for name, rate in (("a", 0.1), ("b", 0.9)))
    assert compare_runs(a, b)["verdict"]["word"] == "inconclusive"


def test_ungraded_evaluations_are_inconclusive_not_an_error() -> None:
    a = simulate_report("a", EASY, N, 1)
    empty = {"num_samples": 0, "num_correct": 0, "num_distinct_correct": 0, "classes": {}, "answer_entropy": None}
    b = {**a, "problems": [{**problem, **empty} for problem in a["problems"]]}
    found = compare_runs(a, b)["verdict"]
    assert found["word"] == "inconclusive"
    assert "no problem has graded samples" in found["sentence"]
    assert found["needed"] == {}


@pytest.mark.slow
def test_between_evaluations_of_one_model_a_word_is_rare() -> None:
    words: Counter[str] = Counter()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        rates = rng.beta(0.3, 0.6, 60)
        varieties = [{part: {m: rng.uniform(0.3, 0.6, 60) for m in "xyz"} for part in ("all", "correct")} for _ in "ab"]
        a, b = (
            simulate_report(name, rates, 16, 2 * seed + at, entropies_M=rng.normal(1, 0.3, 60), diversity=varieties[at])
            for at, name in enumerate("ab")
        )
        words[compare_runs(a, b)["verdict"]["word"]] += 1
    assert words["inconclusive"] / 150 > 0.95 - 2.5 * np.sqrt(0.05 * 0.95 / 150)


# The rules one by one, on evidence made by hand.

FLAT = {
    "a": 0.5,
    "b": 0.5,
    "difference": 0.0,
    "low": -0.02,
    "high": 0.02,
    "p_value": 0.9,
    "num_defined": 9,
    "num_total": 9,
}
UP = {**FLAT, "b": 0.6, "difference": 0.1, "low": 0.05, "high": 0.15, "p_value": 0.001}
DOWN = {**FLAT, "b": 0.4, "difference": -0.1, "low": -0.15, "high": -0.05, "p_value": 0.001}
NO_CROSSING = {"k_star": None, "low": None, "high": None, "share_crossing": 0.0, "num_resamples": 2000}
EVIDENCE = Evidence(
    level=0.95,
    n=64,
    reach_k=32,
    accuracy=FLAT,
    reach=FLAT,
    entropy=FLAT,
    support={"gained": 3, "lost": 3, "nscr": 0.0, "mcnemar_p": 1.0},
    crossing=NO_CROSSING,
    narrowed={},
    adjusted={"accuracy": 1.0, "reach": 1.0, "support": 1.0},
)


def with_adjusted(**cells: Any) -> Evidence:
    """Return the evidence with some cells replaced, their p-values adjusted as a comparison does."""
    changed = replace(EVIDENCE, **cells)
    reach_p = changed.reach["p_value"] if changed.reach else None
    p_values = {"accuracy": changed.accuracy["p_value"], "reach": reach_p, "support": changed.support["mcnemar_p"]}
    return replace(changed, adjusted=adjust_questions(p_values))


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (with_adjusted(), []),
        (with_adjusted(accuracy=UP), ["improvement"]),
        (with_adjusted(reach=UP), ["improvement"]),
        (with_adjusted(accuracy=UP, entropy=DOWN), ["sharpening"]),
        (with_adjusted(accuracy=UP, reach=UP, entropy=DOWN), ["improvement"]),
        (with_adjusted(accuracy=UP, reach=None, entropy=DOWN), ["improvement"]),
        (with_adjusted(accuracy=UP, entropy=None), ["improvement"]),
        (with_adjusted(accuracy=DOWN), ["regression"]),
        (with_adjusted(reach=DOWN), ["shrinkage"]),
        (with_adjusted(accuracy=DOWN, reach=DOWN), ["shrinkage", "regression"]),
        (with_adjusted(accuracy=UP, reach=DOWN), ["shrinkage"]),
        (with_adjusted(accuracy=UP, reach=DOWN, entropy=DOWN), ["shrinkage", "sharpening"]),
        (with_adjusted(crossing={**NO_CROSSING, "k_star": 9.0, "low": 4.0, "high": 32.0}), ["shrinkage"]),
        (with_adjusted(crossing={**NO_CROSSING, "k_star": 9.0, "low": 4.0, "high": 33.0}), []),
        (with_adjusted(crossing={**NO_CROSSING, "k_star": 9.0, "low": 4.0, "high": None}), []),
        # A p-value that is small alone, but not among three questions.
        (with_adjusted(accuracy={**UP, "p_value": 0.03}), []),
        # A p-value is not enough where the interval holds 0.
        (with_adjusted(accuracy={**UP, "low": -0.01}), []),
        # Sure, but too small to matter.
        (with_adjusted(reach={**DOWN, "difference": -2e-6, "low": -4e-6, "high": -1e-6}), []),
        # More is lost than gained, but not beyond chance.
        (with_adjusted(support={"gained": 1, "lost": 5, "nscr": -0.1, "mcnemar_p": 0.2}), []),
        (with_adjusted(support={"gained": 0, "lost": 9, "nscr": -0.1, "mcnemar_p": 0.004}), ["shrinkage"]),
        (with_adjusted(support={"gained": 9, "lost": 0, "nscr": 0.1, "mcnemar_p": 0.004}), ["expansion"]),
    ],
)
def test_each_rule_holds_on_its_evidence_alone(evidence: Evidence, words: list[str]) -> None:
    found = judge(evidence)
    assert [found["word"], *(other["word"] for other in found["also"])] == (words or ["inconclusive"])


def test_narrowing_names_the_measure_that_shows_it_best() -> None:
    def loss(low: float) -> DiversityLoss:
        total = Interval(0.2, 0.1, 0.3, 9, 9)
        return DiversityLoss(total, total, total, Interval(0.9, low, 1.1, 9, 9), 9)

    found = judge(replace(EVIDENCE, narrowed={"x": loss(0.6), "y": loss(0.7)}))
    assert (found["word"], found["deciding"]["quantity"]) == ("harmful collapse", "rho of y")
    found = judge(replace(EVIDENCE, narrowed={"y": loss(0.7), "simpson": loss(0.6)}))
    assert found["deciding"]["quantity"] == "rho of simpson"


def test_the_words_that_fail_a_gate_lead_over_the_others() -> None:
    words = list(dict.fromkeys(rule.word for rule in RULES))
    assert tuple(words[:3]) == FAILING_WORDS
    assert words[3:] == ["sharpening", "expansion", "improvement"]


def test_reach_is_half_of_the_samples() -> None:
    assert [reach_budget(n) for n in (1, 2, 3, 16, 100)] == [1, 1, 1, 8, 50]
