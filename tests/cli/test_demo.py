"""The demo in small: real training, real evaluation, a real report, and nothing done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlkit.cli import main

REPOSITORY = Path(__file__).parents[2]
SMALL = ["--arms", "darling", "--n", "4", "--problems", "8", "--set", "train.max_steps=2"]


def start_demo(output: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "rlkit", "demo", "--output", str(output), *SMALL, *words]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def run_demo(output: Path, *words: str) -> tuple[int, str, str]:
    process = start_demo(output, *words)
    stdout, stderr = process.communicate(timeout=400)
    return process.returncode, stdout, stderr


@pytest.mark.slow
def test_demo_trains_evaluates_reports_and_reuses(tmp_path):
    output = tmp_path / "a demo"
    code, _, stderr = run_demo(output)
    assert code == 0, stderr
    combined = json.loads((output / "report.json").read_text())
    assert [run["name"] for run in combined["runs"]] == ["base", "darling"]
    assert (output / "report.html").stat().st_size > 10_000
    assert combined["runs"][1]["comparison"]["verdict"]["front"]["points"]
    assert (output / "base" / "eval" / "t0.1" / "report.json").is_file()
    trained = (output / "darling" / "run.json").stat().st_mtime
    begun = time.monotonic()
    code, _, stderr = run_demo(output)
    assert code == 0, stderr
    assert (output / "darling" / "run.json").stat().st_mtime == trained
    assert time.monotonic() - begun < 60


@pytest.mark.slow
def test_an_arm_may_go_in_rounds(tmp_path):
    output = tmp_path / "demo"
    words = ["--set", "samples=4", "--set", "problems=16", "--set", "held_out={n: 2, limit: 4}"]
    code, _, stderr = run_demo(output, "--arms", "distinct", *words)
    assert code == 0, stderr
    combined = json.loads((output / "report.json").read_text())
    assert [run["name"] for run in combined["runs"]] == ["base", "distinct"]
    assert json.loads((output / "distinct" / "rounds.json").read_text())["rounds"][1]["samples"] == 64
    log = (output / "distinct" / "round-1" / "sft" / "train_log.jsonl").read_text()
    assert [json.loads(line)["step"] for line in log.splitlines()] == [1, 2], "train.max_steps is of fine-tuning"


@pytest.mark.slow
def test_interrupted_demo_says_how_to_go_on(tmp_path):
    process = start_demo(tmp_path / "demo")
    deadline = time.monotonic() + 200
    while not (tmp_path / "demo" / "darling.train.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "same command" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--arms", "drling"], "darling"),
        (["--arms", "sft_distinct"], "of kind sft, which learns from files"),
        (["--n", "0"], "--n was given as 0"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(tmp_path, words, sentence):
    command = [sys.executable, "-m", "rlkit", "demo", "--output", str(tmp_path / "demo"), *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "demo").exists()


def test_what_an_earlier_demo_left_is_said(tmp_path, capsys):
    (tmp_path / "base" / "eval").mkdir(parents=True)
    (tmp_path / "base" / "eval" / "config.json").write_text("{}")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "is of an earlier demo" in capsys.readouterr().err
