"""`rlkit compare` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.cli import main
from rlkit.evaluation import compare_runs, compare_several
from tests.evaluation.comparing.test_comparison import A, B
from tests.evaluation.simulated import simulate_report

RATES = np.concatenate([np.full(60, 0.5), np.full(40, 0.05)])
BASE = simulate_report("base", RATES, 64, 1)
SHRUNK = simulate_report("shrunk", np.where(RATES > 0.1, 0.6, 0.0), 64, 2)


@pytest.fixture
def directories(tmp_path: Path) -> list[str]:
    for name, report in (("base", A), ("run/eval", {**B, "engine": "vllm"})):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    return [str(tmp_path / "base"), str(tmp_path / "run")]


def test_the_table_holds_every_row_uncut(directories: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *directories]) == 0
    printed = capsys.readouterr().out
    cell = compare_runs(A, B)["pass_at_k"]["4"]
    assert "run minus base, 80 problems" in printed
    assert f"{cell['difference']:+.3f} [{cell['low']:+.3f}, {cell['high']:+.3f}]" in printed
    assert "<0.001" in printed
    assert "distinct correct" in printed
    assert "Note: engine differs: 'hf' and 'vllm'." in printed
    assert "…" not in printed


def test_what_no_problem_has_is_named_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [simulate_report(name, RATES, 1, seed) for seed, name in enumerate(("base", "run"))]
    for run in runs:
        none = {"all": {"simpson": None, "ead_at_4": None}, "correct": {"simpson": None, "ead_at_4": None}}
        run["problems"] = [{**problem, "diversity": none} for problem in run["problems"]]
    assert main(["compare", *write(tmp_path, *runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (undefined,) = [line for line in lines if "ead at 4, correct" in line]
    assert undefined.startswith("Undefined on every problem: ")
    assert not any(line.startswith("Loss of") for line in lines)


def test_what_never_happened_is_no_row_with_an_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = write(tmp_path, BASE, SHRUNK)
    assert main(["compare", *folders]) == 0
    printed = capsys.readouterr().out
    assert "None of either's samples: truncated" in printed
    assert printed.count("truncated") == 1
    cut = {**SHRUNK, "problems": [{**problem, "num_truncated": 1} for problem in SHRUNK["problems"]]}
    (Path(folders[1]) / "report.json").write_text(json.dumps(cut))
    assert main(["compare", *folders]) == 0
    printed = capsys.readouterr().out
    assert "None of either's" not in printed
    assert any(line.split()[:3] == ["truncated", "0.000", "0.016"] for line in printed.splitlines())


def test_json_is_the_whole_comparison(directories: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *directories, "--json"]) == 0
    expected = compare_runs(A, {**B, "engine": "vllm"})
    expected["verdict"]["front"]["command"] = expected["verdict"]["front"]["command"].replace("DIR", directories[0])
    assert json.loads(capsys.readouterr().out) == expected


def write(tmp_path: Path, *reports: dict[str, Any]) -> list[str]:
    """Write reports, each to a directory of its name."""
    for report in reports:
        (tmp_path / report["name"]).mkdir()
        (tmp_path / report["name"] / "report.json").write_text(json.dumps(report))
    return [str(tmp_path / report["name"]) for report in reports]


def test_the_verdict_comes_first_then_numbers_support_and_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *write(tmp_path, BASE, SHRUNK)]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = compare_runs(BASE, SHRUNK)
    support = expected["support"]
    assert lines[0] == f"shrunk against base: collapsed. {expected['verdict']['sentence']}"
    assert lines[1].strip().startswith("Whether the base at a lower temperature does as well is open")
    assert lines[2].strip() == expected["verdict"]["front"]["command"].replace("DIR", str(tmp_path / "base"))
    assert f"{support['lost']} lost" in next(line for line in lines if line.startswith("Support:"))
    (lost,) = [line for line in lines if line.startswith("Lost:")]
    assert f"and {support['lost'] - 5} more (--ids lists all)" in lost
    first = lost.removeprefix("Lost: ").split(", ")[0]
    assert first.removesuffix("*") in support["lost_at_threshold_ids"]
    assert any(line.startswith("Crossing: the base overtakes at k* = ") for line in lines)


def test_all_ids_are_listed_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *write(tmp_path, BASE, SHRUNK), "--ids"]) == 0
    (lost,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Lost:")]
    ids = compare_runs(BASE, SHRUNK)["support"]["lost_ids"]
    assert {word.strip("*,") for word in lost.split()} >= {*ids}
    assert "more" not in lost.replace("or more", "")


def test_several_runs_have_one_table_and_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = simulate_report("other", RATES, 64, 3)
    directories = write(tmp_path, BASE, SHRUNK, other)
    assert main(["compare", *directories]) == 0
    printed = capsys.readouterr().out
    said = [line for line in printed.splitlines() if " against base: " in line]
    assert [line.split(". ")[0] for line in said] == [
        "shrunk against base: collapsed",
        "other against base: not settled",
    ]
    overview = printed[printed.index("differences from base") : printed.index("shrunk minus base")]
    assert [line.split()[0] for line in overview.splitlines()[4:6]] == ["shrunk", "other"]
    assert "To settle it: About " in printed
    assert main(["compare", *directories, "--json"]) == 0
    found, expected = json.loads(capsys.readouterr().out), compare_several(BASE, [SHRUNK, other])
    for each, other_one in zip(found["comparisons"], expected["comparisons"], strict=True):
        assert each["pass_at_k"] == other_one["pass_at_k"]
    assert [e["verdict"]["questions"] for e in found["comparisons"]] == [
        e["verdict"]["questions"] for e in expected["comparisons"]
    ]


def test_a_gate_fails_on_what_should_not_be_shipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, shrunk, other = write(tmp_path, BASE, SHRUNK, simulate_report("other", RATES, 64, 3))
    assert main(["compare", base, other, "--gate"]) == 0
    assert main(["compare", base, shrunk, "--gate"]) == 1
    assert main(["compare", base, shrunk, "--gate", "worse,sharper"]) == 0
    assert main(["compare", base, other, "--gate", "not-settled"]) == 1
    assert main(["compare", base, other, shrunk, "--gate", "--json"]) == 1
    assert main(["compare", base, other, shrunk]) == 0
    capsys.readouterr()
    assert main(["compare", base, other, "--gate", "harmful collapse"]) == 2
    assert "'harmful collapse', which is no verdict" in capsys.readouterr().err


def test_margins_k_and_measure_reach_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", *write(tmp_path, BASE, SHRUNK), "--json"]
    chosen = [*words, "--margin", "pass@1=0.3,diversity=0.05", "--k", "8", "--diversity", "distinct_correct"]
    assert main(chosen) == 0
    found = json.loads(capsys.readouterr().out)["verdict"]
    assert (found["k"], found["diversity"]) == (8, "distinct_correct")
    assert [question["margin"] for question in found["questions"]] == [0.3, 0.02, 0.05]


def test_temperatures_of_the_base_are_its_front(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for temperature, gain in ((1.0, 0.0), (0.6, 0.1), (0.2, 0.2)):
        rates = np.where(RATES > 0.1, RATES + gain, RATES)
        sampling = {"temperature": temperature}
        content = simulate_report(f"base t{temperature:g}", rates, 64, 9, model="base", sampling=sampling)
        (tmp_path / "base" / f"t{temperature:g}").mkdir(parents=True)
        (tmp_path / "base" / f"t{temperature:g}" / "report.json").write_text(json.dumps(content))
    (shrunk,) = write(tmp_path, SHRUNK)
    assert main(["compare", str(tmp_path / "base"), shrunk]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("shrunk against base: ")
    assert "this training bought nothing that a lower temperature does not" in printed.splitlines()[0]
    assert "pass@32, run at T 1, base at 0." in printed
    assert "rlkit eval" not in printed


@pytest.mark.parametrize(("columns", "whole"), [(80, False), (140, True)])
def test_a_terminal_cuts_no_number(tmp_path: Path, columns: int, whole: bool) -> None:
    measures = {"vendi_1_hashed_ngrams_at_4": np.linspace(1.0, 2.0, 100)}
    diversity = {"all": measures, "correct": measures}
    base = simulate_report("base", RATES, 64, 1, diversity=diversity)
    shrunk = simulate_report("shrunk", np.where(RATES > 0.1, 0.6, 0.0), 64, 2, diversity=diversity)
    script = (
        f"import pty, os, sys; os.environ['COLUMNS'] = '{columns}'; os.environ['TERM'] = 'dumb';"
        f"sys.exit(pty.spawn([sys.executable, '-m', 'rlkit', 'compare', *{write(tmp_path, base, shrunk)}]))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    cell = compare_runs(base, shrunk)["pass_at_k"]["4"]
    assert f"{cell['difference']:+.3f} [{cell['low']:+.3f}, {cell['high']:+.3f}]" in ran.stdout
    assert "vendi 1 hashed ngrams at" in ran.stdout
    assert "…" not in ran.stdout
    together = f"[{cell['low_simultaneous']:+.3f}, {cell['high_simultaneous']:+.3f}]"
    assert (together in ran.stdout) == whole


def test_a_damaged_report_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = {**SHRUNK, "problems": [{**SHRUNK["problems"][0], "num_correct": "all"}]}
    assert main(["compare", *write(tmp_path, BASE, damaged)]) == 2
    said = capsys.readouterr().err
    assert "problem 0 has num_correct 'all', not a count" in said
    assert len(said.strip().splitlines()) == 1


def test_no_shared_problem_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strangers = [{**problem, "id": f"other-{problem['id']}"} for problem in SHRUNK["problems"]]
    assert main(["compare", *write(tmp_path, BASE, {**SHRUNK, "problems": strangers})]) == 2
    assert "share no problem" in capsys.readouterr().err


def test_a_missing_report_is_one_sentence(directories: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", directories[0], directories[0] + "/nowhere"]) == 2
    assert "is not a directory" in capsys.readouterr().err
