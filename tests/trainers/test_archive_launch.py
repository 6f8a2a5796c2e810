"""An archive and a lagging sampler on two ranks end where they do on one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlkit.trainers.archived import FILE
from rlkit.trainers.sampler import FILE as SAMPLER
from tests.trainers.archives import write_archive
from tests.trainers.tiny import build_model

REPOSITORY = Path(__file__).parents[2]


def run(output, rows, config=None):
    module = ["-m", "tests.trainers.archive_run", str(output.parent / "start"), str(output), str(rows)]
    launch = (
        ["-m", "accelerate.commands.launch", "--config_file", f"recipes/accelerate/{config}.yaml"] if config else []
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, *launch, *module]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    checkpoint = output / "checkpoint-4"
    state, sampler = json.loads((checkpoint / FILE).read_text()), load_file(checkpoint / SAMPLER)
    return torch.load(output / "run.pt"), state, sampler


@pytest.mark.slow
def test_two_ranks_end_where_one_does(tmp_path):
    build_model().save_pretrained(tmp_path / "start")
    write_archive(tmp_path / "archive.jsonl")
    (one, state, sampler), (two, states, samplers) = run(tmp_path / "one", 8), run(tmp_path / "two", 4, "cpu")
    assert states["schedule"] == state["schedule"]
    assert states["grown"] == state["grown"]
    assert len(state["grown"]) > 4
    for step, (mine, theirs) in enumerate(zip(one["log"], two["log"], strict=True)):
        for key in {"archive/nll", "archive/nll_fresh", "archive/rows_left", "sampler/kl", "grad_norm"} & mine.keys():
            assert theirs[key] == pytest.approx(mine[key], rel=1e-3, abs=1e-5), (step, key)
    # Adam turns rounding into steps of its own size where a gradient is nearly zero; 1e-4 is a tenth of one step.
    torch.testing.assert_close(two["weights"], one["weights"], atol=1e-4, rtol=0)
    for name, weight in sampler.items():
        torch.testing.assert_close(samplers[name], weight, atol=1e-4, rtol=0)
