from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rlkit.estimators.passing import pass_at_k
from rlkit.report import as_json, build_report
from rlkit.report.differences import negate
from tests.report.evaluations import BASE, GRPO, write_evaluation


def test_json_holds_every_run_with_its_differences_to_the_reference(report):
    combined = as_json(report)
    assert json.loads(json.dumps(combined, allow_nan=False)) == combined
    assert combined["reference"] == "base"
    assert [run["name"] for run in combined["runs"]] == ["base", "grpo", "darling"]
    base, grpo, _ = combined["runs"]
    assert base["differences"] is None
    assert set(base["pass_at_k"]) == {str(k) for k in range(1, 17)}
    assert set(grpo["differences"]) == {column["key"] for column in combined["columns"]}
    assert grpo["differences"]["pass@1"].keys() > base["pass_at_k"]["1"].keys()
    assert grpo["training"]["status"] == "finished"


def test_differences_are_those_of_the_problems_paired(report):
    base, grpo, _ = report.runs
    for k in (1, 4, 16):
        pairs = zip(base.problems, grpo.problems, strict=True)
        by_hand = [
            pass_at_k(b["num_samples"], b["num_correct"], k) - pass_at_k(a["num_samples"], a["num_correct"], k)
            for a, b in pairs
        ]
        assert report.differences[1, 0][f"pass@{k}"].value == pytest.approx(sum(by_hand) / len(by_hand))
        plain = grpo.cell(f"pass@{k}").value - base.cell(f"pass@{k}").value
        assert report.differences[1, 0][f"pass@{k}"].value == pytest.approx(plain)


def test_a_difference_seen_from_the_other_side_is_its_negative(report):
    # The two are adjusted among others, each with what stands beside it.
    forward, back = (
        {k: replace(c, p_adjusted=None) for k, c in report.differences[pair].items()} for pair in ((2, 0), (0, 2))
    )
    assert back == {key: negate(cell) for key, cell in forward.items()}
    assert all(cell.low <= cell.value <= cell.high for pair in report.differences.values() for cell in pair.values())


def test_the_made_up_collapse_is_seen(report):
    assert report.difference(1, next(c for c in report.columns if c.key == "solution_coverage")).direction == "down"
    assert report.changes(1).kept[1] < 0.9


def test_undefined_numbers_are_null_with_their_count(tmp_path):
    directory = write_evaluation(tmp_path / "base", BASE)
    report = json.loads((directory / "report.json").read_text())
    undefined = {"value": None, "low": None, "high": None, "num_defined": 0, "num_total": 12}
    report["metrics"]["solution_coverage"] = undefined
    (directory / "report.json").write_text(json.dumps(report))
    (run,) = as_json(build_report([directory]))["runs"]
    assert run["metrics"]["solution_coverage"] == undefined


def test_runs_with_unequal_numbers_of_samples_share_the_largest_common_k(tmp_path):
    folders = [write_evaluation(tmp_path / p.name, p, n=n) for p, n in ((BASE, 8), (GRPO, 16))]
    report = build_report(folders)
    assert [column.key for column in report.columns][:3] == ["pass@1", "pass@4", "pass@8"]


def test_arrows_allow_for_the_number_of_columns_and_runs(report):
    shown = [cell for pair, found in report.differences.items() if pair[1] == 0 for cell in found.values()]
    p_values = sorted(cell.p_value for cell in shown)
    smallest = next(cell for cell in shown if cell.p_value == p_values[0])
    assert smallest.p_adjusted == pytest.approx(min(1.0, len(shown) * p_values[0]))
    assert all(cell.direction == "unclear" for cell in shown if cell.p_adjusted >= 0.05)
    alone = replace(smallest, p_value=0.03, p_adjusted=0.3, value=0.1, low=0.01, high=0.2)
    assert alone.direction == "unclear"
    assert replace(alone, p_adjusted=0.04).direction == "up"
