"""Two processes under ZeRO-2 learn what one process learns, negatives among the rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlkit.cli import main

REPOSITORY = Path(__file__).parents[3]
SETTINGS = {
    "train.max_steps": 3,
    "train.learning_rate": 1e-3,
    "train.gradient_checkpointing": "false",
    "train.lr_scheduler_type": "constant",
    "negatives": "{rows_per_step: 6}",
    "hold_out": 0.2,
}


def run_on_two(output: Path, overrides: list[str], named: list[str]) -> None:
    launcher = ["-m", "accelerate.commands.launch", "--config_file", "recipes/accelerate/cpu_zero2.yaml", "-m", "rlkit"]
    words = [word for override in overrides for word in ("--set", override)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, *launcher, "sft", *named, "--output", str(output), *words]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]


def read_log(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "train_log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_under_zero_2_learn_what_one_does(tmp_path):
    rows = tmp_path / "rows.jsonl"
    answers = ["2 + 3 [5]", "2 + 3 [5] [5] + 5 [10]", "8 - 3 [5]"]
    weighed = [(1 + at % 4) * (-1 if at % 5 == 0 else 1) for at in range(30)]
    lines = [
        {"prompt": f"2 3 5 {at % 9 + 1} ->24", "completion": answers[at % 3], "weight": weight}
        for at, weight in enumerate(weighed)
    ]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    named = ["--model", "countdown-tiny", "--data", str(rows)]
    overrides = [f"{key}={value}" for key, value in SETTINGS.items()]
    # 24 rows, some held out, in steps of 16: an epoch ends within a step, where ranks are given rows again.
    one = [word for override in (*overrides, "train.per_device_train_batch_size=16") for word in ("--set", override)]
    assert main(["sft", *named, "--output", str(tmp_path / "one"), *one]) == 0
    run_on_two(tmp_path / "two", [*overrides, "train.per_device_train_batch_size=8"], named)
    first, second = read_log(tmp_path / "one"), read_log(tmp_path / "two")
    assert [entry["step"] for entry in first] == [entry["step"] for entry in second] == [0, 1, 2, 3]
    for mine, theirs in zip(first, second, strict=True):
        for key in ("held_out/nll", "learnt/nll", *(("loss", "nll", "negatives/probability") if mine["step"] else ())):
            assert mine[key] == pytest.approx(theirs[key], rel=1e-4, abs=1e-6), key
    weights, others = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    for name, value in weights.items():
        # Adam divides small gradients by their own size, so what rounding leaves of them can weigh.
        torch.testing.assert_close(others[name], value, atol=2e-4, rtol=0, msg=name)
