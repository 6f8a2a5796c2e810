"""The fast update on two ranks ends where TRL's does, plain and sharded, also where a rank has nothing to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainers.tiny import build_model

REPOSITORY = Path(__file__).parents[2]


def run(output, config, kind, beta):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"recipes/accelerate/{config}.yaml"]
    command = [*launch, "-m", "tests.trainers.update_run", str(output.parent / "start"), str(output), kind, str(beta)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(output / "run.pt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "beta"),
    [
        ("cpu", 0.0),
        ("cpu", 0.1),
        pytest.param("cpu_zero2", 0.1, marks=pytest.mark.needs_compiler),
        pytest.param("cpu_zero3", 0.0, marks=pytest.mark.needs_compiler),
    ],
)
def test_two_ranks_end_where_trl_does(tmp_path, config, beta):
    build_model().save_pretrained(tmp_path / "start")
    theirs, fast = (run(tmp_path / kind, config, kind, beta) for kind in ("trl", "fast"))
    for step, (reference, ours) in enumerate(zip(theirs["log"], fast["log"], strict=True)):
        assert ours["loss"] == pytest.approx(reference["loss"], rel=1e-4, abs=1e-7), step
    # Adam turns rounding into steps of its own size where a gradient is nearly zero; 1e-4 is a tenth of one step.
    torch.testing.assert_close(fast["weights"], theirs["weights"], atol=1e-4, rtol=0)
    forwarded = [entry["update/forwarded"] for entry in fast["log"]]
    assert forwarded == ([1.0, 1.0, 1.0] if beta else [1.0, 0.5, 0.0])
    if not beta:
        assert fast["log"][2]["update/steps_without_signal"] == 1.0
