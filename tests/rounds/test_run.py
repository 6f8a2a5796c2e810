"""Rounds from recipe to report: what is refused, and that a run that was killed ends as a whole one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlkit.archive import Archive
from rlkit.cli import main
from rlkit.errors import ConfigError, RlkitError, StoreError
from rlkit.files import read_json, write_json
from rlkit.recipe import build_recipe
from rlkit.recipe.yaml_text import format_yaml
from rlkit.rounds import stages
from rlkit.rounds.run import check_rounds, run_rounds

TRAIN = {"num_train_epochs": 1, "per_device_train_batch_size": 4, "gradient_checkpointing": False, "seed": 0}
SMALL = {
    "kind": "rounds",
    "model": "countdown-tiny",
    "task": {"name": "countdown", "train_size": 24},
    "rounds": 2,
    "samples": 4,
    "stop": False,
    "sampling": {"max_tokens": 16},
    "sft": {"train": {**TRAIN, "learning_rate": 4e-4, "save_strategy": "steps", "save_steps": 1}},
    "held_out": {"n": 4, "limit": 8},
}


def build(output: Path, **changes):
    return build_recipe({**SMALL, "output": str(output), **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "countdwn"}, "Did you mean 'countdown'"),
        ({"partition": "equation_sets"}, "Did you mean 'equation_set'"),
        ({"held_out": {"n": 0}}, "n=0"),
        ({"held_out": {"limit": 0}}, "limit=0"),
        ({"sampling": {"top_p": 2}}, "top_p was given as 2"),
        ({"sft": {"train": {"learning_rat": 1}}}, "learning_rat"),
        ({"sft": {"train": {"packing": True}}, "negatives": 1.0}, "do not go together"),
    ],
)
def test_what_would_stop_a_later_stage_is_refused_before_anything_is_drawn(tmp_path, changes, said):
    with pytest.raises(RlkitError, match=said):
        run_rounds(build(tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_a_launcher_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="without a launcher"):
        check_rounds(build(tmp_path))


def test_training_problems_that_are_held_out_are_refused_before_anything_is_drawn(tmp_path):
    rows = [{"question": f"What is {at} + 1?", "answer": str(at + 1)} for at in range(8)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"name": "jsonl", "path": str(tmp_path / "sums.jsonl")}
    with pytest.raises(ConfigError, match="8 of the 8 training problems are held out"):
        run_rounds(build(tmp_path / "out", task=task))
    assert not (tmp_path / "out" / "base").exists()
    assert read_json(tmp_path / "out" / "run.json")["status"] == "failed"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_of_somebody_else_is_left_alone(tmp_path, overwrite):
    (tmp_path / "base").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="not a run of rlkit"):
        run_rounds(build(tmp_path), overwrite=overwrite)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "base").is_dir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_run_and_its_directory_says_so(tmp_path, monkeypatch, number):
    output = tmp_path / "out"
    (tmp_path / "rounds.yaml").write_text(format_yaml(build(output).to_mapping()))
    monkeypatch.setattr(stages, "evaluate_base", lambda recipe: os.kill(os.getpid(), number))
    assert main(["train", str(tmp_path / "rounds.yaml")]) == 130
    assert read_json(output / "run.json")["status"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("rounds") / "whole"
    assert run_rounds(build(output)).status == "finished"
    return output


def after_first_round(whole: Path, output: Path) -> Path:
    """Return a run as it is when the first round is done."""
    shutil.copytree(
        whole, output, ignore=lambda path, names: {"round-2", "model", "logs"} if path == str(whole) else []
    )
    write_json(output / "rounds.json", {"rounds": read_json(whole / "rounds.json")["rounds"][:2]})
    write_json(output / "run.json", read_json(whole / "run.json") | {"status": "running", "step": 1})
    (output / "recipe.yaml").write_text(format_yaml(build(output).to_mapping()))
    return output


def start_and_kill(output: Path, when) -> None:
    """Run rounds as a command, and kill it once `when` is so."""
    words = [sys.executable, "-m", "rlkit", "train", str(output / "recipe.yaml")]
    command = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    end = time.monotonic() + 300
    while not when():
        assert command.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < end
        time.sleep(0.02)
    command.kill()
    assert command.wait(60) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_run_that_was_killed_ends_as_a_whole_one(whole, tmp_path):
    output = after_first_round(whole, tmp_path / "stopped")
    sft = output / "round-2" / "sft"
    start_and_kill(output, lambda: any(sft.glob("checkpoint-*")))
    assert not (sft / "model").exists()
    assert read_json(output / "run.json")["status"] == "running"
    outcome = run_rounds(build(output))
    assert (outcome.status, outcome.step) == ("finished", 2)

    assert read_json(output / "rounds.json") == read_json(whole / "rounds.json")
    one, two = (load_file(path / "model" / "model.safetensors") for path in (whole, output))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=1e-7, rtol=0)
    there, here = (Archive.open(path / "round-2" / "archive.jsonl") for path in (whole, output))
    assert here.rows() == there.rows()
    assert [problem.drawn for problem in here.problems.values()] == [8] * 24


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_finished_run_has_a_report_and_is_left_alone(whole):
    first, second = (Archive.open(whole / f"round-{number}" / "archive.jsonl") for number in (1, 2))
    assert [source.round for source in second.sources.values()] == [1, 2]
    assert 0 < first.num_solutions <= second.num_solutions
    history = read_json(whole / "rounds.json")["rounds"]
    assert [entry["round"] for entry in history] == [0, 1, 2]
    assert [entry["solutions"] for entry in history[1:]] == [first.num_solutions, second.num_solutions]
    page = (whole / "report.html").read_text()
    assert "round-1" in page
    assert "round-2" in page
    outcome = run_rounds(build(whole))
    assert (outcome.status, outcome.step) == ("already finished", 2)
    with pytest.raises(StoreError, match="samples is 4 there, 5 here"):
        run_rounds(build(whole, samples=5))
