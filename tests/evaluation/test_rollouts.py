"""From a training's logged rollouts to an archive."""

from __future__ import annotations

import json

import pytest

from rlkit.archive import Archive
from rlkit.cli import main
from rlkit.errors import StoreError
from rlkit.evaluation.rollouts import collect_rollouts
from rlkit.tasks import resolve_task
from rlkit.tasks.tables import read_file
from rlkit.verifiers.answers import solution_key

SMALL = [
    *("train.max_steps=2", "train.per_device_train_batch_size=32", "train.num_generations=8", "task.train_size=16"),
    *("train.steps_per_generation=1", "train.gradient_accumulation_steps=1", "train.log_completions=true"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    output = tmp_path_factory.mktemp("rollouts") / "run"
    words = [word for setting in (*SMALL, f"output={output}") for word in ("--set", setting)]
    assert main(["train", "countdown/grpo", *words]) == 0
    return output


@pytest.mark.slow
@pytest.mark.side_by_side
def test_it_holds_what_a_slow_loop_finds(run, tmp_path, capsys):
    path = tmp_path / "found.jsonl"
    assert main(["archive", "collect", str(path), str(run), "--rollouts"]) == 0
    assert "of 64 samples are correct" in capsys.readouterr().out
    records = [record for file in sorted((run / "completions").glob("*.parquet")) for record in read_file(file)]
    rows = {row["id"]: row for row in resolve_task({"name": "countdown", "train_size": 16}).load("train")}
    grade = resolve_task("countdown").grade
    expected = set()
    for record in records:
        assert grade(record["completion"], rows[record["problem"]]).correct == bool(record["correct"])
        if record["correct"] and not record["truncated"]:
            expected.add((record["problem"], f"expression:{solution_key(record['completion'])}"))
    archive = Archive.open(path)
    assert expected
    assert {(id, each.key) for id, problem in archive.problems.items() for each in problem.solutions} == expected
    (source,) = archive.sources.values()
    assert (source.step, source.temperature) == (2, 1.0)
    before = path.read_bytes()
    _, done = collect_rollouts(path, [run, run])
    assert (done.num_new, path.read_bytes()) == (0, before)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_held_out_problems_are_refused(run, tmp_path):
    whole = {"name": "countdown", "train_size": 16}
    with pytest.raises(StoreError, match="held-out problems"):
        collect_rollouts(tmp_path / "found.jsonl", [run], held_out=[(whole, "train")])
    assert not (tmp_path / "found.jsonl").exists()


def test_a_directory_without_rollouts_is_said(tmp_path, capsys):
    assert main(["archive", "collect", str(tmp_path / "found.jsonl"), str(tmp_path), "--rollouts"]) == 2
    assert "recipe.yaml is missing" in capsys.readouterr().err
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(json.dumps({"model": "countdown-tiny", "task": "countdown", "output": str(run)}))
    assert main(["archive", "collect", str(tmp_path / "found.jsonl"), str(run), "--rollouts"]) == 2
    assert "train with train.log_completions: true" in capsys.readouterr().err
