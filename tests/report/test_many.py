"""Many runs in one report: each against the reference only, an overview first, and what was chosen of the verdicts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.evaluation.comparing.comparison import Choices, compare_several
from rlkit.evaluation.comparing.margins import MARGINS
from rlkit.report import build_report, load
from rlkit.report.browsed import FEWEST_PROBLEMS, collect_browsed
from rlkit.report.differences import MOST_PAIRED
from rlkit.report.headline import MOST_CARDS
from rlkit.report.page import to_html
from tests.report.evaluations import BASE, DARLING, GRPO, WEIGHTED, write_evaluation

NUM_RUNS = MOST_CARDS + 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("many")
    policies = [BASE, *(GRPO, DARLING, WEIGHTED) * NUM_RUNS][:NUM_RUNS]
    return [
        write_evaluation(root / f"run{at}", policy, num_problems=12, n=8, seed=at, name=f"run{at}")
        for at, policy in enumerate(policies)
    ]


def test_each_is_compared_with_the_reference_only(folders: list[Path]) -> None:
    report = build_report(folders)
    assert sorted(report.comparisons) == [(slot, 0) for slot in range(1, NUM_RUNS)]
    alone = compare_several(report.runs[0].model, [run.model for run in report.runs[1:]], ks=[1, 4, 8])
    assert [dict(report.comparison(slot)) for slot in range(1, NUM_RUNS)] == alone["comparisons"]
    few = build_report(folders[:MOST_PAIRED])
    assert len(few.comparisons) == MOST_PAIRED * (MOST_PAIRED - 1) // 2


def test_the_page_has_a_line_a_run_and_says_what_was_left_out(folders: list[Path]) -> None:
    page = to_html(build_report(folders))
    assert 'id="against"' not in page
    assert "Of so many runs each is compared with run0 only" in page
    (overview,) = re.findall(r'<table class="overview">.*?</table>', page, re.DOTALL)
    assert overview.count("<tr") == NUM_RUNS
    assert 'class="readings"' not in page
    some = to_html(build_report(folders[: MOST_PAIRED + 1]))
    assert 'class="readings"' in some
    assert 'data-against="1"' not in some


def test_every_report_is_read_once(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(
        load, "read_report", lambda folder, reader=load.read_report: read.append(folder) or reader(folder)
    )
    build_report(folders)
    assert read == folders


def test_few_problems_are_browsed_where_runs_are_many(folders: list[Path]) -> None:
    runs = build_report(folders[:2]).runs
    assert len(collect_browsed([*runs] * 200).problems) == min(FEWEST_PROBLEMS, 12)


def test_the_command_shows_progress_then_an_overview(folders: list[Path], tmp_path: Path, capsys) -> None:
    assert main(["report", *map(str, folders), "--output", str(tmp_path / "r.html")]) == 0
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "Reading evaluations",
        "Comparing them",
        "Reading samples",
    ]
    assert out.index("differences from run0") < out.index("run10 ")
    lines = [line for line in out.splitlines() if re.match(r" *run\d+ +[a-z ]+ +[+-]\d\.\d+ ", line)]
    assert len(lines) == NUM_RUNS - 1
    assert len(out.splitlines()) < 2 * NUM_RUNS + 10


def test_compare_begins_with_the_overview_and_stops_there(folders: list[Path], capsys) -> None:
    assert main(["compare", *map(str, folders)]) == 0
    few = capsys.readouterr().out
    assert few.lstrip().startswith("differences from run0")
    assert "what decided" not in few
    assert len(few.splitlines()) < NUM_RUNS + 15
    assert few.count("this answers it") == 1
    assert main(["compare", *map(str, folders), "--all"]) == 0
    assert capsys.readouterr().out.count("what decided") == NUM_RUNS - 1


def test_margins_k_and_measure_reach_verdict_page_and_command(folders: list[Path], tmp_path: Path, capsys) -> None:
    page = tmp_path / "r.html"
    options = [
        "--margin",
        "pass@1=0.9,pass@k=0.9,diversity=0.95,collapse=0.99",
        "--k",
        "2",
        "--diversity",
        "distinct_correct",
    ]
    assert main(["report", *map(str, folders[:2]), "--output", str(page), *options]) == 0
    (_, run) = json.loads(page.with_suffix(".json").read_text())["runs"]
    verdict = run["comparison"]["verdict"]
    assert (verdict["word"], verdict["k"], verdict["diversity"]) == ("no difference", 2, "distinct_correct")
    text = page.read_text()
    assert (
        "Margins: pass@1 0.9, pass@k 0.9, diversity 95 %, collapse 99 %. k of pass@k: 2. Diversity: distinct correct."
        in text
    )
    assert "--margin pass@1=0.9,pass@k=0.9,diversity=0.95,collapse=0.99 --k 2 --diversity distinct_correct" in text
    usual = to_html(build_report(folders[:2], Choices(dict(MARGINS))))
    assert "Margins: pass@1 0.02, pass@k 0.02, diversity 10 %, collapse 20 %." in usual
    capsys.readouterr()


def test_a_gate_fails_after_the_page_was_written(folders: list[Path], tmp_path: Path, capsys) -> None:
    page = tmp_path / "r.html"
    words = "no-difference,not-settled,better,better-and-broader,sharper,broader,worse,narrower,collapsed"
    assert main(["report", *map(str, folders[:2]), "--output", str(page), "--gate", words]) == 1
    assert page.is_file()
    assert main(["report", *map(str, folders[:2]), "--output", str(page), "--gate", "wrose"]) == 2
    assert "--gate was given as 'wrose'" in capsys.readouterr().err
