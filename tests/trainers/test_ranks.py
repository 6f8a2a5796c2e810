"""Two ranks give what one rank gives, also when a group straddles them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainers.frozen_run import METHODS

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
    return torch.load(output / "runs.pt")


@pytest.fixture(scope="module", params=[8, 6], ids=["whole groups", "a group straddles ranks"])
def runs(request, tmp_path_factory):
    """The same rollouts on one rank and on two, by every method."""
    directory, rows_per_rank = tmp_path_factory.mktemp("ranks"), request.param
    return run_frozen(directory / "one", 1, 2 * rows_per_rank), run_frozen(directory / "two", 2, rows_per_rank)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_equal_one_rank(runs, method):
    one, two = (run[method] for run in runs)
    assert len(set(one["advantages"])) > 2
    assert two["advantages"] == pytest.approx(one["advantages"], abs=1e-5)
    torch.testing.assert_close(two["weights"], one["weights"], atol=1e-5, rtol=0)
    assert two["answer_counts"] == one["answer_counts"]
    assert two["anchor_coef"] == pytest.approx(one["anchor_coef"], rel=1e-4)
    for step, entry in enumerate(one["log"]):
        compared = [key for key in entry if key.startswith(SAME)]
        assert len(compared) > 6
        for key in compared:
            if entry[key] is None:  # undefined, e.g. without two correct answers to one problem
                assert two["log"][step][key] is None
                continue
            assert two["log"][step][key] == pytest.approx(entry[key], rel=1e-3, abs=1e-5, nan_ok=True), (step, key)


SAME = ("diversity/", "rewards/", "reward", "advantages/", "anchor/", "kl", "entropy", "token_weight/")


def test_the_methods_do_what_they_are_compared_for():
    from rlkit.recipe.plan import Plan
    from rlkit.trainers import DiverseGRPOConfig
    from tests.trainers.tiny import training_arguments

    plans = [
        Plan.from_config(DiverseGRPOConfig(**training_arguments("nowhere", **method)), [])
        for method in METHODS.values()
    ]
    needs = frozenset().union(*(plan.needs for plan in plans))
    assert needs >= {
        *("labels_PG", "equivalent_PGG", "embeddings_PGE", "answers_PG", "answer_counts_PG"),
        *("logps_PGT", "prompt_logps_PS", "ref_mean_logps_PG", "pass_counts_P2"),
    }
