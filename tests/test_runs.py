"""Who may write to a run directory, and what is done with what it holds."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import pytest

from rlkit.errors import StoreError
from rlkit.recipe import build_recipe
from rlkit.runs import Claim, RunDirectory

RECIPE = build_recipe({"model": "m", "task": "t", "output": "o", "train": {"seed": 0}})
OTHER = dataclasses.replace(RECIPE, train={"seed": 1})


def begin(path, steps=3, status="running"):
    run = RunDirectory(path)
    with run.lock():
        run.prepare(RECIPE, Claim("start"))
        run.start_state(status=status, step=steps)
    for step in range(1, steps + 1):
        run.append_log({"step": step, "reward": step / 10})
    return run


def save_checkpoint(run, step, complete=True):
    folder = run.path / f"checkpoint-{step}"
    folder.mkdir()
    if complete:
        (folder / "trainer_state.json").write_text("{}")
    return folder


def logged_steps(run):
    return [json.loads(line)["step"] for line in run.log_path.read_text().splitlines()]


@pytest.mark.parametrize("exists", [True, False])
def test_a_new_or_empty_directory_is_started(tmp_path, exists):
    path = tmp_path / "a run"
    if exists:
        path.mkdir()
    assert RunDirectory(path).inspect(RECIPE) == Claim("start")


def test_a_run_continues_from_its_last_complete_checkpoint(tmp_path):
    run = begin(tmp_path)
    save_checkpoint(run, 2)
    last = save_checkpoint(run, 10)
    save_checkpoint(run, 11, complete=False)
    assert run.inspect(RECIPE) == Claim("continue", 10, str(last))


def test_a_run_without_a_checkpoint_continues_from_the_start(tmp_path):
    assert begin(tmp_path).inspect(RECIPE) == Claim("continue")


def test_a_finished_run_is_left_alone(tmp_path):
    run = begin(tmp_path, status="finished")
    assert run.inspect(RECIPE) == Claim("nothing", 3)
    assert run.finished_step(RECIPE) == 3
    assert run.finished_step(OTHER) is None


@pytest.mark.parametrize("status", ["finished", "running", "interrupted", "failed"])
def test_another_recipe_is_refused_with_what_differs(tmp_path, status):
    with pytest.raises(StoreError, match=r"holds another run: train\.seed is 0 there, 1 here; .*--overwrite"):
        begin(tmp_path, status=status).inspect(OTHER)


def test_the_same_recipe_is_recognised_when_its_directory_was_moved(tmp_path):
    begin(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert RunDirectory(tmp_path / "after").inspect(dataclasses.replace(RECIPE, output="after")) == Claim("continue")


def test_a_run_that_never_made_a_step_gives_way_to_a_mended_recipe(tmp_path):
    assert begin(tmp_path, steps=0, status="failed").inspect(OTHER) == Claim("start")


@pytest.mark.parametrize("overwrite", [True, False])
def test_foreign_files_are_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="not a run of rlkit"):
        RunDirectory(tmp_path).inspect(RECIPE, overwrite)
    assert (tmp_path / "thesis.tex").exists()


def test_a_file_is_not_a_directory(tmp_path):
    (tmp_path / "o").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        RunDirectory(tmp_path / "o").inspect(RECIPE)


def test_overwrite_deletes_what_a_run_made_and_nothing_else(tmp_path):
    run = begin(tmp_path, status="finished")
    save_checkpoint(run, 3)
    for folder in ("model", "eval"):
        (tmp_path / folder).mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    claim = run.inspect(OTHER, overwrite=True)
    run.prepare(OTHER, claim, overwrite=True)
    assert claim == Claim("start")
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "notes.txt", "recipe.yaml"}
    assert run.read_state() == {}
    assert "seed: 1" in (tmp_path / "recipe.yaml").read_text()


def test_continuing_drops_logged_steps_after_the_checkpoint_and_torn_lines(tmp_path):
    run = begin(tmp_path, steps=5)
    with run.log_path.open("a") as file:
        file.write('{"step": 6, "rew')
    run.prepare(RECIPE, Claim("continue", 3, "checkpoint-3"))
    assert logged_steps(run) == [1, 2, 3]


def test_numbers_that_are_not_finite_are_logged_as_null(tmp_path):
    run = begin(tmp_path, steps=0)
    run.append_log({"step": 1, "a": math.nan, "b": math.inf, "c": 0.5, "d": None})
    assert json.loads(run.log_path.read_text()) == {"step": 1, "a": None, "b": None, "c": 0.5, "d": None}


def test_state_is_merged_and_seconds_are_kept_across_starts(tmp_path):
    run = begin(tmp_path)
    run.write_state(seconds=12.5, error="boom")
    assert (run.read_state()["status"], run.read_state()["error"]) == ("running", "boom")
    run.start_state(status="running", step=3)
    assert run.read_state()["seconds"] == 12.5
    assert "error" not in run.read_state()


def test_a_broken_state_file_is_named(tmp_path):
    run = begin(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(StoreError, match=r"run\.json cannot be read as JSON"):
        run.inspect(RECIPE)


def test_two_processes_cannot_write_one_run(tmp_path):
    script = (
        "import sys, rlkit.runs\n"
        f"with rlkit.runs.RunDirectory({str(tmp_path)!r}).lock():\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(StoreError, match="another process"), RunDirectory(tmp_path).lock():
            pass
        holder.kill()
    with RunDirectory(tmp_path).lock():
        pass


def test_overwriting_deletes_what_a_run_in_rounds_wrote_and_nothing_else(tmp_path):
    rounds = build_recipe({"kind": "rounds", "model": "m", "task": "t", "output": "o"})
    run = RunDirectory(tmp_path)
    run.prepare(rounds, Claim("start"))
    run.start_state(status="running", step=0)
    for name in ("base", "round-1", "logs", "mine"):
        (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match="holds another run"):
        run.inspect(dataclasses.replace(rounds, samples=3))
    run.prepare(rounds, run.inspect(rounds, overwrite=True), overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.yaml", "mine"}


def test_overwriting_a_run_of_another_kind_leaves_folders_that_are_called_like_those_of_rounds(tmp_path):
    run = begin(tmp_path)
    (tmp_path / "round-1").mkdir()
    run.prepare(RECIPE, Claim("start"), overwrite=True)
    assert (tmp_path / "round-1").is_dir()
