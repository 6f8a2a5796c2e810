"""Two ranks give what one rank gives, also when a group straddles them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parents[2]


def run_frozen(output: Path, num_ranks: int, rows_per_rank: int) -> dict:
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={num_ranks}",
        "--module",
    ]
    command = [*launch, "tests.trainers.frozen_run", str(output), str(rows_per_rank)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(output / "run.pt")


@pytest.mark.slow
@pytest.mark.parametrize("rows_per_rank", [8, 6], ids=["whole groups", "a group straddles ranks"])
def test_two_ranks_equal_one_rank(tmp_path, rows_per_rank):
    one = run_frozen(tmp_path / "one", num_ranks=1, rows_per_rank=2 * rows_per_rank)
    two = run_frozen(tmp_path / "two", num_ranks=2, rows_per_rank=rows_per_rank)
    assert len(set(one["advantages"])) > 2
    assert two["advantages"] == pytest.approx(one["advantages"], abs=1e-6)
    torch.testing.assert_close(two["weights"], one["weights"], atol=1e-5, rtol=0)
    compared = [key for key in one["log"] if key.startswith(("diversity/", "rewards/", "reward", "advantages/"))]
    assert len(compared) > 8
    for key in compared:
        assert two["log"][key] == pytest.approx(one["log"][key], abs=1e-6, nan_ok=True), key
