from __future__ import annotations

import json

import pytest

from rlkit.errors import ConfigError, StoreError
from rlkit.report import build_report
from rlkit.report.load import load_runs
from rlkit.report.page import to_html
from tests.report.evaluations import BASE, GRPO, write_evaluation, write_run


def test_an_evaluation_and_a_run_that_holds_one_are_both_found(tmp_path):
    base = write_evaluation(tmp_path / "base" / "eval", BASE)
    grpo = write_run(tmp_path / "grpo", GRPO)
    first, second = load_runs([base, grpo])
    assert (first.name, second.name) == ("base", "grpo")
    assert first.training is None
    assert second.directory == grpo / "eval"
    assert second.training.status == "finished"
    assert second.cell("pass@1").num_total == 12
    assert second.cell("solution_coverage").value is not None
    assert second.cell("no_such_metric") is None


def test_the_log_beside_an_evaluation_named_directly_is_found(tmp_path):
    (run,) = load_runs([write_run(tmp_path / "grpo", GRPO) / "eval"])
    assert run.training.steps[-1] == 40


def test_equal_and_empty_names_are_told_apart_by_their_directories(tmp_path):
    folders = [write_evaluation(tmp_path / name / "eval", BASE, name="eval") for name in ("a", "b")]
    assert [run.name for run in load_runs(folders)] == ["a", "b"]
    folders = [write_evaluation(tmp_path / name, BASE, name="same") for name in ("c", "d")]
    assert [run.name for run in load_runs(folders)] == ["c", "d"]
    folders = [write_evaluation(tmp_path / name / "x", BASE, name="same") for name in ("e", "f")]
    assert [run.name for run in load_runs(folders)] == [str(folder) for folder in folders]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task": "gsm8k"}, "grpo was evaluated on task 'gsm8k', base on 'countdown'"),
        ({"split": "train"}, "grpo was evaluated on split 'train', base on 'test'"),
        ({"num_problems": 11}, r"different problems \(0 only in the one, 1 in the other\)"),
    ],
)
def test_evaluations_that_do_not_compare_are_refused(tmp_path, changes, sentence):
    base = write_evaluation(tmp_path / "base", BASE)
    other = write_evaluation(tmp_path / "grpo", GRPO, **changes)
    with pytest.raises(ConfigError, match=sentence):
        load_runs([base, other])


def test_a_directory_without_an_evaluation_is_refused_with_the_command_that_writes_one(tmp_path):
    with pytest.raises(StoreError, match="is not a directory"):
        load_runs([tmp_path / "nowhere"])
    with pytest.raises(StoreError, match=r"holds no evaluation.* rlkit eval"):
        load_runs([tmp_path])
    (tmp_path / "report.json").write_text(json.dumps({"reference": "base", "runs": []}))
    with pytest.raises(StoreError, match="holds no evaluation"):
        load_runs([tmp_path])
    with pytest.raises(ConfigError, match="No directory was given"):
        load_runs([])


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_damaged_report_is_refused_by_name(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(StoreError, match=r"report\.json (cannot be read as JSON|holds no JSON object)"):
        load_runs([tmp_path])


def test_the_same_evaluation_twice_is_refused(tmp_path):
    run = write_run(tmp_path / "grpo", GRPO)
    with pytest.raises(ConfigError, match="given twice"):
        load_runs([run, run / "eval"])


def test_a_directory_of_temperatures_is_one_run(tmp_path):
    for temperature in (0.4, 1.0, 0.6):
        folder = tmp_path / "base" / "eval" / f"t{temperature:g}"
        write_evaluation(folder, BASE, num_problems=4, n=4, name=f"eval t{temperature:g}", sampling=at(temperature))
    write_run(tmp_path / "grpo", GRPO, num_problems=4, n=4, sampling=at(1.0))
    base, grpo = load_runs([tmp_path / "base", tmp_path / "grpo"])
    assert (base.name, base.temperature, [other.temperature for other in base.others]) == ("base", 1.0, [0.4, 0.6])
    assert base.model.temperatures == (1.0, 0.6, 0.4)
    assert (grpo.others, grpo.model.temperatures) == ((), (1.0,))


def test_a_run_of_several_temperatures_keeps_the_name_that_it_was_given(tmp_path):
    for temperature in (0.6, 1.0):
        for folder, stem in (("sft/eval", "round-1"), ("other/eval", "eval")):
            place = tmp_path / folder / f"t{temperature:g}"
            write_evaluation(
                place, BASE, num_problems=4, n=4, name=f"{stem} t{temperature:g}", sampling=at(temperature)
            )
    assert [run.name for run in load_runs([tmp_path / "sft", tmp_path / "other"])] == ["round-1", "other"]


def at(temperature):
    return {"temperature": temperature, "max_tokens": 32}


def test_the_page_shows_fronts_and_the_verdict_is_against_them(tmp_path):
    for temperature in (0.4, 1.0):
        folder = tmp_path / "base" / f"t{temperature:g}"
        write_evaluation(folder, BASE, num_problems=20, seed=3, name=f"base t{temperature:g}", sampling=at(temperature))
    write_run(tmp_path / "grpo", GRPO, num_problems=20, sampling=at(1.0))
    report = build_report([tmp_path / "base", tmp_path / "grpo"])
    verdict = report.comparison(1)["verdict"]
    assert verdict["front"]["points"]
    assert verdict["front"]["command"] == ""
    page = to_html(report)
    assert page.count('class="sweep run run-0"') == 2
    assert "Solid lines join one model at several temperatures" in page
