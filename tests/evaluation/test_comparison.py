"""Paired comparison: signs, pairing, unequal sample sizes and what may not be compared."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from rlkit.errors import ConfigError, StoreError
from rlkit.estimators import pass_at_k, rarefied_distinct
from rlkit.evaluation import compare_runs, read_report


def make_report(name: str, n: int, correct: list[int], **changes: Any) -> dict[str, Any]:
    problems = [
        {
            "id": f"p{i}",
            "prompt": f"prompt {i}",
            "num_samples": n,
            "num_correct": c,
            "num_distinct_correct": min(c, 3),
            "num_solutions": 5,
            "num_unscored": 0,
            "num_truncated": 0,
            "classes": {str(j): len(range(j, c, 3)) for j in range(min(c, 3))},
            "verdicts": {},
            "answer_entropy": 0.5,
            "token_entropy": 1.0 + i / 100,
            "surprisal": 1.0,
            "num_tokens": 10.0,
        }
        for i, c in enumerate(correct)
    ]
    settings = {"task": "t", "split": "test", "engine": "hf", "sampling": {"temperature": 1.0, "seed": 0}}
    return {"name": name, "model": name, "n": n, "config_hash": name, "problems": problems, **settings, **changes}


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


def test_a_run_against_itself_differs_in_nothing() -> None:
    comparison = compare_runs(A, A)
    for cell in {**comparison["pass_at_k"], **comparison["metrics"]}.values():
        assert (cell["difference"], cell["low"], cell["high"], cell["p_value"]) == (0, 0, 0, 1)


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


def test_reports_are_found_in_evaluations_and_runs(tmp_path) -> None:
    (tmp_path / "eval").mkdir()
    with pytest.raises(StoreError, match="is it the output of rlkit eval"):
        read_report(tmp_path)
    (tmp_path / "eval" / "report.json").write_text(json.dumps(A))
    assert read_report(tmp_path) == A
    (tmp_path / "report.json").write_text('{"name": "something else"}')
    with pytest.raises(StoreError, match="not the report of an evaluation: it has no 'model'"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text("[1]")
    with pytest.raises(StoreError, match="no JSON object"):
        read_report(tmp_path)
