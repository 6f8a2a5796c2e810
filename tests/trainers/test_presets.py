"""Every shipped method trains on Countdown, and a run that stopped goes on to the very same end."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlkit.archive import ArchiveRow
from rlkit.recipe import load_recipe, shipped_recipes
from rlkit.tasks.countdown import Countdown
from rlkit.trainers.memory import FILE as MEMORY
from rlkit.trainers.reference import FILE as REFERENCE
from rlkit.trainers.run import train
from tests.trainers.archives import write_archive

METHODS = sorted(
    name
    for name in shipped_recipes()
    if name.startswith("countdown/") and not name.endswith("chat_qwen3_darling") and load_recipe(name).kind == "rl"
)
SMALL = [
    "train.per_device_train_batch_size=64",
    "train.num_generations=8",
    "train.max_steps=4",
    "train.save_strategy=steps",
    "train.save_steps=2",
    "task.train_size=64",
]


def run(name: str, output: Path) -> Path:
    more = [f"objective={{name: {name.split('/')[1]}, num_prompts: 16}}"] if "dph" in name else []
    more += [f"archive={{from: {collect(output.parent)}, rows_per_step: 3}}"] if "archive" in name else []
    train(load_recipe(name, [*SMALL, *more, f"output={output}"]))
    return output


def collect(folder: Path) -> str:
    """Write an archive of the first step of a few problems, and return its path."""
    rows = Countdown(train_size=8).load("train")
    steps = [f"{row['numbers'][0]} + {row['numbers'][1]} [{sum(row['numbers'][:2])}]" for row in rows]
    solutions = [ArchiveRow(row["id"], row["prompt"], step, "a") for row, step in zip(rows, steps, strict=True)]
    return write_archive(folder / "archive.jsonl", problems=solutions)


def read_log(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "train_log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("name", METHODS)
def test_trains_and_continues_to_the_same_end(name, tmp_path):
    whole = run(name, tmp_path / "whole")
    log = read_log(whole)
    assert [line["step"] for line in log] == [1, 2, 3, 4]
    assert all(math.isfinite(line["loss"]) and abs(line["loss"]) < 10 for line in log)
    assert any(line["grad_norm"] > 0 for line in log)

    stopped = tmp_path / "stopped"
    # A run that was killed after its second step: its first checkpoint, its recipe, no more.
    (tmp_path / "whole").rename(stopped)
    for later in ("checkpoint-4", "model"):
        (stopped / later).rename(tmp_path / later)
    state = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps(state | {"status": "running", "step": 2}))
    recipe = (stopped / "recipe.yaml").read_text().replace(str(whole), str(stopped))
    (stopped / "recipe.yaml").write_text(recipe)
    run(name, stopped)

    assert_same(load_file(tmp_path / "model" / "model.safetensors"), load_file(stopped / "model" / "model.safetensors"))
    first, second = tmp_path / "checkpoint-4", stopped / "checkpoint-4"
    assert (first / MEMORY).read_text() == (second / MEMORY).read_text()
    assert (first / REFERENCE).exists() == (second / REFERENCE).exists() == ("anchor_ema" in name)
    if (first / REFERENCE).exists():
        assert_same(load_file(first / REFERENCE), load_file(second / REFERENCE))
    for one, two in zip(log[2:], read_log(stopped)[2:], strict=True):
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-6)


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, two[key], atol=1e-6, rtol=0)
