"""Every word of the verdict from a simulated model that deserves it, and no word where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.evaluation import compare_runs, compare_several
from rlkit.evaluation.comparing.comparison import Choices
from rlkit.evaluation.comparing.margins import MARGINS, Answer, answer, read_margins
from rlkit.evaluation.comparing.verdict import solved_budget
from rlkit.evaluation.comparing.verdict_rules import REFUSED, RULES, WORDS, Evidence, Front, apply_rules
from tests.evaluation.simulated import simulate_report

EASY, HARD = np.full(300, 0.5), np.full(180, 0.03)
BASE = np.concatenate([EASY, HARD])
N = 64
STATISTICS = ("p =", "p <", "rho", "mcnemar", "nscr", "simpson", "vendi", "entropy", "interval", "[", "significan")


def coverage(report: dict[str, Any], share: float, seed: int = 5) -> dict[str, Any]:
    """Return the report with correct samples spread over a share of ten solutions, all alike likely."""
    rng = np.random.default_rng(seed)
    problems = []
    for problem in report["problems"]:
        counts = rng.multinomial(problem["num_correct"], np.full(round(10 * share), 1 / round(10 * share)))
        classes = {str(at): int(count) for at, count in enumerate(counts) if count}
        changes = {"classes": classes, "num_distinct_correct": len(classes), "num_solutions": 10}
        problems.append({**problem, **changes})
    return {**report, "problems": problems}


def verdict(run: np.ndarray, share: float = 1.0, base: np.ndarray = BASE, **choices: Any) -> dict[str, Any]:
    """Return the verdict on a simulated model that is right at these rates and knows a share of the solutions."""
    a, b = (simulate_report(name, rates, N, seed) for name, rates, seed in (("base", base, 1), ("run", run, 2)))
    found: dict[str, Any] = compare_runs(coverage(a, 1.0), coverage(b, share), choices=Choices(**choices))["verdict"]
    return found


@pytest.mark.parametrize(
    ("word", "run", "share"),
    [
        ("better and broader", np.concatenate([EASY + 0.1, HARD + 0.05]), 1.0),
        # Fewer solutions by less than a tenth are no loss that matters: it solves more at every k.
        ("better and broader", np.concatenate([EASY + 0.1, HARD + 0.05]), 0.9),
        ("sharper", np.concatenate([EASY + 0.15, HARD]), 0.8),
        ("sharper", np.concatenate([EASY + 0.15, 0.4 * HARD]), 1.0),
        ("collapsed", np.concatenate([EASY + 0.15, 0.0 * HARD]), 0.5),
        ("broader", np.concatenate([EASY, HARD + 0.05]), 1.0),
        # A price at the first try is said, but more is solved in many.
        ("broader", np.concatenate([EASY - 0.1, HARD + 0.05]), 1.0),
        ("worse", np.concatenate([EASY - 0.15, HARD]), 1.0),
        ("worse", np.concatenate([EASY, 0.4 * HARD]), 1.0),
        ("narrower", BASE, 0.8),
        ("narrower", BASE, 0.4),
    ],
)
def test_each_word_comes_from_a_model_that_deserves_it(word: str, run: np.ndarray, share: float) -> None:
    found = verdict(run, share)
    assert found["word"] == word
    assert not [name for name in STATISTICS if name in found["sentence"].lower()]


def test_a_trade_names_both_what_it_bought_and_what_it_cost() -> None:
    found = verdict(np.concatenate([EASY + 0.15, HARD]), 0.6)
    first, _, kept = (question["change"] for question in found["questions"])
    assert f"solves {100 * first:.1f} more of 100 problems at the first try" in found["sentence"]
    assert f"keeps {100 * (1 + kept):.0f} % of the solutions that the base finds" in found["sentence"]
    assert ", but " in found["sentence"]


def test_no_difference_is_shown_not_assumed() -> None:
    twin = simulate_report("twin", BASE, N, 1)
    found = compare_runs(simulate_report("base", BASE, N, 1), twin)["verdict"]
    assert found["word"] == "no difference"
    assert {question["answer"] for question in found["questions"]} == {"same"}
    few = compare_runs(simulate_report("a", BASE[:20], N, 1), simulate_report("b", BASE[:20], N, 1))["verdict"]
    assert few["word"] == "not settled"
    assert few["needed"]["more_problems"] >= 30


def test_where_it_is_not_settled_it_says_what_would() -> None:
    found = verdict(np.concatenate([EASY + 0.02, HARD]))
    assert found["word"] == "not settled"
    needed = found["needed"]
    assert needed["more_problems"] > 0
    assert f"{needed['more_problems']:,} more problems" in needed["says"]
    assert "if the change is as large as it seems" in needed["says"]


def test_margins_move_the_word() -> None:
    run = np.concatenate([EASY + 0.15, HARD])
    assert verdict(run, 0.8)["word"] == "sharper"
    wide = {**MARGINS, "pass@1": 0.3}
    assert verdict(run, 0.8, margins=wide)["word"] == "narrower"
    assert verdict(run, 0.8, margins={**wide, "diversity": 0.4, "collapse": 0.5})["word"] != "narrower"


def test_k_and_the_measure_that_decide_are_said_and_chosen() -> None:
    run = np.concatenate([EASY, HARD + 0.05])
    found = verdict(run)
    assert (found["k"], found["diversity"]) == (N // 2, "solution_coverage")
    chosen = verdict(run, k=4, diversity="distinct_correct")
    assert (chosen["k"], chosen["diversity"]) == (4, "distinct_correct")
    assert [question["quantity"] for question in chosen["questions"]] == ["pass@1", "pass@4", "distinct_correct"]
    with pytest.raises(ConfigError, match="--diversity was given as 'distinct_corect'"):
        verdict(run, diversity="distinct_corect")
    with pytest.raises(ConfigError, match="write 1 to 64"):
        verdict(run, k=65)


def test_without_solution_sets_different_solutions_decide() -> None:
    a, b = (simulate_report(name, BASE, N, seed) for name, seed in (("a", 1), ("b", 2)))
    for report in (a, b):
        report["problems"] = [{**problem, "num_solutions": None} for problem in report["problems"]]
    assert compare_runs(a, b)["verdict"]["diversity"] == "distinct_correct"


def test_several_runs_are_corrected_for_their_number() -> None:
    base, *runs = (simulate_report(name, BASE, N, seed) for seed, name in enumerate(["base", *"abcdefgh"]))
    together = [each["verdict"] for each in compare_several(base, runs)["comparisons"]]
    alone = [compare_runs(base, run)["verdict"] for run in runs]
    for several, one in zip(together, alone, strict=True):
        for wide, narrow in zip(several["questions"], one["questions"], strict=True):
            assert wide["low"] <= narrow["low"] <= narrow["high"] <= wide["high"]
    assert together[0]["questions"][0]["low"] < alone[0]["questions"][0]["low"]


def test_one_problem_and_no_graded_problem_settle_nothing() -> None:
    a, b = (simulate_report(name, np.array([rate]), N, 1) for name, rate in (("a", 0.1), ("b", 0.9)))
    assert compare_runs(a, b)["verdict"]["word"] == "not settled"
    empty = {"num_samples": 0, "num_correct": 0, "num_distinct_correct": 0, "classes": {}, "answer_entropy": None}
    b = {**a, "problems": [{**problem, **empty} for problem in a["problems"]]}
    found = compare_runs(a, b)["verdict"]
    assert (found["word"], found["needed"]) == ("not settled", {})
    assert "No problem has graded samples" in found["sentence"]


def test_without_a_front_the_question_is_open_and_its_command_is_printed() -> None:
    front = verdict(np.concatenate([EASY + 0.15, HARD]))["front"]
    assert front["stands"] == "not compared"
    assert "is open" in front["says"][0]
    assert front["command"].startswith("rlkit eval --model base --task t --split test --n 64")
    assert "--temperature 0.1,0.2,0.4,0.6,0.8,1" in front["command"]


# The rules and the margins one by one.

SAME = Evidence(Answer.SAME, Answer.SAME, Answer.SAME, False, Front.UNKNOWN)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "no difference"),
        ({"solved": Answer.UNKNOWN}, "no difference"),
        ({"solved": Answer.NOT_WORSE}, "not settled"),
        ({"accuracy": Answer.BETTER}, "sharper"),
        ({"accuracy": Answer.BETTER, "solved": Answer.BETTER}, "better and broader"),
        ({"accuracy": Answer.BETTER, "diversity": Answer.BETTER}, "better and broader"),
        ({"accuracy": Answer.BETTER, "solved": Answer.BETTER, "diversity": Answer.WORSE}, "sharper"),
        ({"accuracy": Answer.BETTER, "solved": Answer.BETTER, "front": Front.MATCHED}, "sharper"),
        ({"accuracy": Answer.BETTER, "front": Front.BEYOND}, "better"),
        ({"diversity": Answer.WORSE}, "narrower"),
        # However large the loss, at a k at which as much is solved it is no collapse.
        ({"diversity": Answer.WORSE, "is_large_loss": True}, "narrower"),
        ({"diversity": Answer.WORSE, "is_large_loss": True, "solved": Answer.WORSE}, "collapsed"),
        (
            {
                "accuracy": Answer.BETTER,
                "diversity": Answer.WORSE,
                "is_large_loss": True,
                "solved": Answer.WORSE,
                "front": Front.BEYOND,
            },
            "collapsed",
        ),
        ({"diversity": Answer.WORSE, "solved": Answer.WORSE}, "worse"),
        ({"accuracy": Answer.WORSE}, "worse"),
        ({"accuracy": Answer.WORSE, "solved": Answer.BETTER}, "broader"),
        ({"accuracy": Answer.OPEN, "diversity": Answer.BETTER}, "broader"),
    ],
)
def test_each_rule_holds_on_its_evidence(changes: dict[str, Any], word: str) -> None:
    assert apply_rules(replace(SAME, **changes)) == word


def test_the_words_are_told_apart_and_those_refused_are_among_them() -> None:
    assert len({*WORDS}) == len(RULES)
    assert {*REFUSED} < {*WORDS}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.021, 0.03, "better"),
        (-0.03, -0.021, "worse"),
        (-0.02, 0.02, "same"),
        (-0.01, 0.03, "not worse"),
        (-0.03, 0.01, "not better"),
        (-0.03, 0.03, "not settled"),
        (0.5, np.inf, "better"),
        (None, 0.1, "not measured"),
        (np.nan, np.nan, "not measured"),
    ],
)
def test_an_interval_answers_by_the_zones_it_touches(low: float | None, high: float, expected: str) -> None:
    assert answer(low, high, 0.02) == expected


def test_margins_are_read_and_refused_in_a_sentence() -> None:
    assert read_margins(None) == MARGINS
    assert read_margins("pass@1=0.05, diversity=0.2") == {**MARGINS, "pass@1": 0.05, "diversity": 0.2}
    for text, said in [
        ("pass@2=0.1", "pass@2"),
        ("pass@1=x", "a number from 0 to below 1"),
        ("pass@1=1", "a number from 0 to below 1"),
        ("pass@1=-0.1", "a number from 0 to below 1"),
        ("pass@1", "a number from 0 to below 1"),
        ("collapse=0.05", "no smaller than the margin of diversity"),
    ]:
        with pytest.raises(ConfigError, match=said):
            read_margins(text)


def test_half_of_the_samples_decide() -> None:
    assert [solved_budget(n) for n in (1, 2, 3, 16, 100)] == [1, 1, 1, 8, 50]
