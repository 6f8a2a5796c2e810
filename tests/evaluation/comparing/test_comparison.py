"""Paired comparison: signs, pairing, unequal sample sizes and what may not be compared."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.errors import ConfigError, StoreError
from rlkit.estimators import majority_vote, pass_at_k, rarefied_distinct, split_diversity_loss
from rlkit.evaluation import compare_runs, compare_several, read_report
from tests.evaluation.simulated import make_problem, simulate_report
from tests.evaluation.simulated import make_report as report_of


def make_report(name: str, n: int, correct: list[int], **changes: Any) -> dict[str, Any]:
    return report_of(name, n, [make_problem(at, n, c, 0.5) for at, c in enumerate(correct)], **changes)


CORRECT_A = np.random.default_rng(0).integers(0, 17, 80).tolist()
CORRECT_B = [min(16, c + 2) for c in CORRECT_A]
A, B = make_report("base", 16, CORRECT_A), make_report("run", 16, CORRECT_B)


def test_differences_are_b_minus_a_with_both_means() -> None:
    comparison = compare_runs(A, B)
    cell = comparison["pass_at_k"]["1"]
    assert cell["a"] == pytest.approx(np.mean(CORRECT_A) / 16)
    assert cell["b"] == pytest.approx(np.mean(CORRECT_B) / 16)
    assert cell["difference"] == pytest.approx(cell["b"] - cell["a"])
    assert 0 < cell["low"] < cell["difference"] < cell["high"]
    assert cell["p_value"] < 0.001
    assert (cell["num_defined"], cell["num_total"]) == (80, 80)
    assert list(comparison["pass_at_k"]) == ["1", "2", "4", "8", "16"]
    assert comparison["notes"] == []


def test_the_other_way_round_flips_every_sign() -> None:
    forth, back = compare_runs(A, B), compare_runs(B, A)
    for name, cell in {**forth["pass_at_k"], **forth["metrics"]}.items():
        other = {**back["pass_at_k"], **back["metrics"]}[name]
        assert other["difference"] == pytest.approx(-cell["difference"])
        assert (other["low"], other["high"]) == pytest.approx((-cell["high"], -cell["low"]))
        assert other["p_value"] == cell["p_value"]
    for k, cell in forth["pass_at_k"].items():
        other = back["pass_at_k"][k]
        limits = other["low_simultaneous"], other["high_simultaneous"]
        assert limits == pytest.approx((-cell["high_simultaneous"], -cell["low_simultaneous"]))
        assert other["p_adjusted"] == cell["p_adjusted"]
    here, there = forth["support"], back["support"]
    assert (here["gained_ids"], here["lost_ids"]) == (there["lost_ids"], there["gained_ids"])
    assert here["nscr"] == -there["nscr"]
    assert here["mcnemar_p"] == there["mcnemar_p"]


def test_a_run_against_itself_differs_in_nothing() -> None:
    comparison = compare_runs(A, A)
    for cell in {**comparison["pass_at_k"], **comparison["metrics"]}.values():
        assert (cell["difference"], cell["p_value"]) == (0, 1)
        # No difference on 80 problems leaves room for a small one on others.
        assert -0.01 < cell["low"] == -cell["high"] <= 0
    assert comparison["pass_at_k"]["1"]["low"] < 0
    assert comparison["crossing"]["k_star"] is None
    assert comparison["crossing"]["share_crossing"] == 0
    assert (comparison["support"]["gained"], comparison["support"]["lost"]) == (0, 0)
    assert comparison["verdict"]["word"] == "no difference"
    for cell in comparison["retained"].values():
        assert (cell["value"], cell["low"], cell["high"]) == (1, 1, 1)


def test_pairing_is_by_id_not_by_position() -> None:
    shuffled = {**B, "problems": B["problems"][::-1]}
    assert compare_runs(A, shuffled)["pass_at_k"]["1"]["difference"] == pytest.approx(
        compare_runs(A, B)["pass_at_k"]["1"]["difference"]
    )


def test_unequal_sample_sizes_meet_at_the_smaller_one() -> None:
    wide = make_report("wide", 64, [4 * c for c in CORRECT_A])
    comparison = compare_runs(A, wide)
    assert list(comparison["pass_at_k"])[-1] == "16"
    assert comparison["pass_at_k"]["8"]["b"] == pytest.approx(np.mean(pass_at_k(64, 4 * np.array(CORRECT_A), 8)))
    expected = np.mean([rarefied_distinct(list(p["classes"].values()), 16, 64) for p in wide["problems"]])
    assert comparison["metrics"]["distinct_correct"]["b"] == pytest.approx(expected)
    assert comparison["metrics"]["solution_coverage"]["b"] == pytest.approx(expected / 5)
    assert "answer_entropy" not in comparison["metrics"]
    assert comparison["notes"] == ["n differs: 16 and 64."]


def test_problems_of_one_side_only_are_counted_and_said() -> None:
    comparison = compare_runs({**A, "problems": A["problems"][10:]}, {**B, "problems": B["problems"][:70]})
    assert (comparison["num_paired"], comparison["num_only_a"], comparison["num_only_b"]) == (60, 10, 10)
    assert "Only the 60 problems that both have are compared." in comparison["notes"]


def test_undefined_on_one_side_is_left_out_on_both() -> None:
    partly = copy.deepcopy(B)
    partly["problems"][0].update(num_samples=0, num_correct=0, classes={}, token_entropy=None)
    comparison = compare_runs(A, partly)
    assert comparison["pass_at_k"]["1"]["num_defined"] == 79
    assert comparison["pass_at_k"]["1"]["a"] == pytest.approx(np.mean(CORRECT_A[1:]) / 16)
    assert comparison["metrics"]["token_entropy"]["num_defined"] == 79


def test_unknown_solution_sets_are_undefined() -> None:
    without = [{**problem, "num_solutions": None} for problem in A["problems"]]
    cell = compare_runs({**A, "problems": without}, B)["metrics"]["solution_coverage"]
    assert (cell["difference"], cell["p_value"], cell["num_defined"]) == (None, None, 0)


def test_other_settings_are_noted() -> None:
    hotter = {**B, "sampling": {"temperature": 0.6, "seed": 9}, "engine": "vllm"}
    assert compare_runs(A, hotter)["notes"] == ["engine differs: 'hf' and 'vllm'.", "temperature differs: 1.0 and 0.6."]


def test_what_cannot_be_compared_is_refused() -> None:
    strangers = {**B, "problems": [{**problem, "id": f"other-{problem['id']}"} for problem in B["problems"]]}
    with pytest.raises(ConfigError, match="share no problem"):
        compare_runs(A, strangers)
    rewritten = {**B, "problems": [{**problem, "prompt": "new"} for problem in B["problems"]]}
    with pytest.raises(ConfigError, match="different prompts"):
        compare_runs(A, rewritten)
    with pytest.raises(ConfigError, match="at least 1"):
        compare_runs(A, B, ks=[0, 1])


def test_reports_are_found_in_evaluations_and_runs(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    with pytest.raises(StoreError, match="holds no evaluation"):
        read_report(tmp_path)
    (tmp_path / "eval" / "report.json").write_text(json.dumps(A))
    assert read_report(tmp_path) == A
    # What `rlkit report` writes beside its page has the same name.
    (tmp_path / "report.json").write_text('{"name": "something else"}')
    assert read_report(tmp_path) == A
    (tmp_path / "eval" / "report.json").write_text('{"problems": []}')
    with pytest.raises(StoreError, match="not the report of an evaluation: it has no 'name'"):
        read_report(tmp_path)


def test_intervals_for_all_budgets_contain_those_for_each() -> None:
    for cell in compare_runs(A, B)["pass_at_k"].values():
        assert cell["low_simultaneous"] <= cell["low"] <= cell["high"] <= cell["high_simultaneous"]
        assert cell["p_adjusted"] >= cell["p_value"]


def test_all_of_k_correct_is_compared_too() -> None:
    cell = compare_runs(A, B)["pass_hat_k"]["2"]
    c = np.array(CORRECT_A)
    assert cell["a"] == pytest.approx(np.mean(c * (c - 1) / (16 * 15)))


def with_answers(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report with one right and two wrong answers a problem."""
    problems = []
    for problem in report["problems"]:
        right, wrong = problem["num_correct"], problem["num_samples"] - problem["num_correct"]
        answers = {"right": [right, right], "x": [wrong // 2, 0], "y": [wrong - wrong // 2, 0]}
        problems.append({**problem, "answers": {key: counts for key, counts in answers.items() if counts[0]}})
    return {**report, "problems": problems}


def test_votes_are_compared_where_both_say_how_often_each_answer_was_given() -> None:
    found = compare_runs(with_answers(A), with_answers(B))["maj_at_k"]
    assert list(found) == ["8", "16"]
    for k in (8, 16):
        counts = [[c, (16 - c) // 2, 16 - c - (16 - c) // 2] for c in CORRECT_A]
        expected = [majority_vote(each, [True, False, False], [k]).values_K for each in counts]
        assert found[str(k)]["a"] == pytest.approx(np.mean(expected))
    assert compare_runs(with_answers(A), B)["maj_at_k"] == {}


def test_gained_and_lost_problems_are_named() -> None:
    a = make_report("base", 8, [0, 1, 5, 0, 4, 8, 0])
    b = make_report("run", 8, [0, 0, 0, 2, 4, 8, 4])
    support = compare_runs(a, b)["support"]
    assert (support["both"], support["gained"], support["lost"], support["neither"]) == (2, 2, 2, 1)
    assert (support["gained_ids"], support["gained_at_threshold_ids"]) == (["p3", "p6"], ["p6"])
    assert (support["lost_ids"], support["lost_at_threshold_ids"]) == (["p1", "p2"], ["p2"])
    assert (support["jaccard"], support["mcnemar_p"]) == (pytest.approx(1 / 3), 1.0)


def test_more_samples_alone_gain_no_problems() -> None:
    rates = np.full(2000, 0.02)
    few, many = simulate_report("few", rates, 16, 1), simulate_report("many", rates, 128, 2)
    support = compare_runs(few, many)["support"]
    solved = sum(problem["num_correct"] > 0 for problem in many["problems"]), support["both"] + support["gained"]
    assert solved[0] > 1700
    assert solved[1] == pytest.approx(2000 * (1 - 0.98**16), abs=5 * np.sqrt(2000 * 0.2))
    assert support["mcnemar_p"] > 0.01


def test_the_crossing_is_where_the_rates_say() -> None:
    # 0.5 and 0.02 against 0.6 and 0.005: the base is behind for few samples and ahead for many.
    base, run = (np.repeat(pair, 300) for pair in ((0.5, 0.02), (0.6, 0.005)))
    crossing = compare_runs(simulate_report("a", base, 128, 1), simulate_report("b", run, 128, 2))["crossing"]
    ks = np.arange(1, 129)[:, None]
    truth = np.flatnonzero(np.mean((1 - base) ** ks - (1 - run) ** ks, axis=1) < 0)[0] + 1
    # The curves meet between the last budget at which the run is ahead and the first at which the base is.
    assert crossing["low"] <= truth
    assert crossing["high"] >= truth - 1
    assert crossing["k_star"] == pytest.approx(truth - 0.5, abs=1)
    assert crossing["share_crossing"] == 1.0


def with_diversity(report: dict[str, Any], seed: int, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    problems = [
        {**problem, "diversity": {part: {"vendi": float(rng.uniform(1, 2))} for part in ("all", "correct")}}
        for problem in report["problems"]
    ]
    problems[0]["diversity"]["correct"]["vendi"] = None
    return {**report, "problems": problems, "diversity": {"settings": {"encoder": "x"}}, **changes}


def test_diversity_is_compared_split_and_its_share_retained() -> None:
    a, b = with_diversity(A, 1), with_diversity(B, 2)
    comparison = compare_runs(a, b)
    four = [
        [problem["diversity"][part]["vendi"] or np.nan for problem in report["problems"]]
        for report in (a, b)
        for part in ("all", "correct")
    ]
    loss = split_diversity_loss(*four)
    assert comparison["decomposition"]["vendi"]["total"] == loss.total.as_cell()
    assert comparison["decomposition"]["vendi"]["num_problems"] == 79
    assert comparison["diversity"]["all"]["vendi"]["difference"] == pytest.approx(np.mean(four[2]) - np.mean(four[0]))
    retained = comparison["retained"]["correct/vendi"]
    assert retained["value"] == pytest.approx(np.nanmean(four[3]) / np.nanmean(four[1]))
    assert retained["low"] < retained["value"] < retained["high"]
    assert comparison["retained"]["distinct_correct"]["value"] > 1


def test_diversity_that_is_not_comparable_is_left_out_and_said() -> None:
    other = compare_runs(with_diversity(A, 1), with_diversity(B, 2, diversity={"settings": {"encoder": "y"}}))
    assert other["decomposition"] == {}
    assert other["notes"] == ["Diversity was measured with another encoder; it is not compared."]


def test_diversity_is_compared_where_one_evaluation_had_more_problems() -> None:
    sizes = ({"settings": {"encoder": "x", "num_prompts_across": count}} for count in (80, 40))
    base, run = (with_diversity(report, seed, diversity=next(sizes)) for report, seed in ((A, 1), (B, 2)))
    assert compare_runs(base, run)["diversity"]["all"]


def test_solutions_told_apart_by_other_partitions_do_not_compare() -> None:
    graders = [{"verifier": "v", "thinking_tag": "think", "partition": each} for each in (None, "answers")]
    base, other = (with_diversity(A, 1, grader=grader) for grader in graders)
    comparison = compare_runs(base, other)
    assert comparison["system_level"]
    assert comparison["diversity"] == compare_runs(A, B)["diversity"]
    assert comparison["notes"][0] == "partition differs: None and 'answers'."
    assert "diversity is not compared" in comparison["notes"][1]
    assert compare_runs(base, with_diversity(B, 2, grader=None))["notes"] == []
    assert compare_runs(base, with_diversity(B, 2, grader=graders[0]))["notes"] == []
    wide = with_diversity(make_report("wide", 64, [4 * c for c in CORRECT_A]), 3)
    # Measures of diversity are of a stated number of outputs, so n may differ.
    assert set(compare_runs(with_diversity(A, 1), wide)["decomposition"]) == {"vendi"}
    assert compare_runs(with_diversity(A, 1), B)["diversity"] == {"all": {}, "correct": {}}


def test_a_budget_beyond_n_is_undefined_and_changes_no_other() -> None:
    comparison = compare_runs(A, B, ks=[1, 4, 32])
    assert comparison["pass_at_k"]["32"]["difference"] is None
    assert comparison["pass_at_k"]["32"]["p_adjusted"] is None
    assert comparison["pass_at_k"]["1"]["difference"] == compare_runs(A, B)["pass_at_k"]["1"]["difference"]
    assert comparison["verdict"] == compare_runs(A, B)["verdict"]


def test_only_the_model_differs_or_the_system_does() -> None:
    assert not compare_runs(A, B)["system_level"]
    assert compare_runs(A, {**B, "engine": "vllm"})["system_level"]
    assert not compare_runs(A, {**B, "problems": B["problems"][:50]})["system_level"]


def test_several_runs_are_compared_with_one_base() -> None:
    found = compare_several(A, [B, A])
    assert found["base"]["name"] == "base"
    for several, alone in zip(found["comparisons"], [compare_runs(A, B), compare_runs(A, A)], strict=True):
        assert several | {"verdict": None} == alone | {"verdict": None}


def test_formats_and_diversity_across_prompts_are_compared() -> None:
    def outputs(shares: dict[str, float], distinct: float | None, num: int = 80) -> dict[str, Any]:
        formats = {"shares": shares, "dominant_share": max(shares.values())}
        return {
            "diversity": {
                "settings": {"num_prompts_across": num},
                "formats": formats,
                "cross_input": {"distinct_2": distinct, "ead": None},
            }
        }

    base, run = A | outputs({"code": 0.5, "prose": 0.5}, 0.4), B | outputs({"code": 1.0}, 0.3)
    found = compare_runs(base, run)["outputs"]
    expected = (0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(2.0) + np.log(1.0 / 0.75)) / 2
    assert found["formats"]["drift"] == pytest.approx(expected)
    assert (found["formats"]["dominant_a"], found["formats"]["b"]) == (0.5, {"code": 1.0})
    assert found["across_prompts"] == {"distinct_2": {"a": 0.4, "b": 0.3, "difference": pytest.approx(-0.1)}}
    # Over another number of prompts it is another quantity; formats are shares all the same.
    fewer = compare_runs(base, B | outputs({"code": 1.0}, 0.3, 40))["outputs"]
    assert (fewer["across_prompts"], fewer["formats"]) == ({}, found["formats"])
    assert compare_runs(A, B)["outputs"] == {"formats": {}, "across_prompts": {}}


def test_a_comparison_is_json_without_nan() -> None:
    for pair in ((A, B), (A, A), (make_report("one", 1, [1]), make_report("two", 1, [0]))):
        json.dumps(compare_runs(*pair), allow_nan=False)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_samples_are_enough_for_an_answer(n: int) -> None:
    comparison = compare_runs(make_report("a", n, [n] * 4), make_report("b", n, [0] * 4))
    assert comparison["pass_at_k"]["1"]["difference"] == -1
    assert comparison["verdict"]["word"] == "not settled"
