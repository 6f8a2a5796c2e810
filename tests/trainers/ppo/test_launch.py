"""PPO on two ranks, under DeepSpeed, with LoRA and an adapter for a critic, and with vLLM inside, all of it real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainers.test_launch import REPOSITORY, check_run, start
from tests.trainers.tiny import build_model, build_tokenizer


def run(output, kind, rows_per_rank, config=None, adapted=""):
    """Return what frozen rollouts leave behind, on two ranks where a launcher is named."""
    launch = [sys.executable]
    if config is not None:
        launch += ["-m", "accelerate.commands.launch", "--config_file", f"recipes/accelerate/{config}.yaml"]
    words = [str(output.parent / "start"), str(output), str(rows_per_rank), kind, *([adapted] if adapted else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    output.mkdir(parents=True)
    done = subprocess.run(
        [*launch, "-m", "tests.trainers.ppo.runs", *words],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(output / "run.pt")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return what one process makes of the frozen rollouts, each kind of critic once."""
    folder, kept = tmp_path_factory.mktemp("ppo"), {}
    build_model().save_pretrained(folder / "start")
    build_tokenizer().save_pretrained(folder / "start")

    def find(kind, adapted=""):
        if (kind, adapted) not in kept:
            kept[kind, adapted] = run(folder / f"{kind}{adapted}", kind, 8, adapted=adapted)
        return folder, kept[kind, adapted]

    return find


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "adapted", "config"),
    [
        ("shared", "", "cpu"),
        ("separate", "", "cpu"),
        ("adapter", "LoRA", "cpu"),
        pytest.param("shared", "", "cpu_zero2", marks=pytest.mark.needs_compiler),
        pytest.param("shared", "", "cpu_zero3", marks=pytest.mark.needs_compiler),
        pytest.param("separate", "", "cpu_zero3", marks=pytest.mark.needs_compiler),
        pytest.param("adapter", "LoRA", "cpu_zero3", marks=pytest.mark.needs_compiler),
    ],
)
def test_two_ranks_end_where_one_does(alone, kind, adapted, config):
    folder, one = alone(kind, adapted)
    two = run(folder / f"{kind}{adapted}-{config}", kind, 4, config, adapted)
    for mine, theirs in zip(two["log"], one["log"], strict=True):
        compared = [key for key in theirs if key.startswith(("critic/", "returns/", "advantages/", "reward"))]
        assert len(compared) > 8
        for key in compared:
            assert mine[key] == pytest.approx(theirs[key], rel=2e-3, abs=1e-4, nan_ok=True), key
    torch.testing.assert_close(two["critic"], one["critic"], atol=1e-3, rtol=0)
    if config == "cpu" or not adapted:
        # Under ZeRO-3 an adapted model's state has other names.
        torch.testing.assert_close(two["weights"], one["weights"], atol=1e-3, rtol=0)


def compose(recipe, output, config=None, **changes):
    settings = {"train.max_steps": 2, "train.per_device_train_batch_size": 32, "task.train_size": 64}
    settings |= {"output": output} | {key.replace("__", "."): value for key, value in changes.items()}
    launcher = ["-m", "rlkit"]
    if config is not None:
        launcher = ["-m", "accelerate.commands.launch", "--config_file", f"recipes/accelerate/{config}.yaml", *launcher]
    overrides = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, *launcher, "train", recipe, *overrides]


def train(recipe, output, config=None, **changes):
    process = start(compose(recipe, output, config, **changes))
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said[-4000:]
    assert "Traceback" not in said, said[-4000:]
    return check_run(output, world_size=1 if config is None else 2)


@pytest.mark.slow
@pytest.mark.needs_compiler
def test_lora_with_an_adapter_critic_trains_under_zero_2_and_leaves_a_whole_model(tmp_path):
    log = train("countdown/ppo_lora", tmp_path / "run", "cpu_zero2", train__per_device_train_batch_size=16)
    assert all("critic/explained_variance" in entry for entry in log)
    adapter = tmp_path / "run" / "adapter"
    assert (adapter / "adapter_config.json").is_file()
    assert not list(Path(adapter).rglob("*critic*"))
    assert (tmp_path / "run" / "critic").is_dir()


@pytest.mark.slow
@pytest.mark.needs_vllm
@pytest.mark.parametrize("recipe", ["countdown/ppo", "countdown/ppo_lora"])
def test_vllm_inside_the_process_samples_from_the_policy_and_never_from_the_critic(tmp_path, recipe):
    log = train(recipe, tmp_path / "run", train__use_vllm="true", train__vllm_mode="colocate")
    # vLLM samples in bf16.
    assert max(entry["sampling/sampling_logp_difference/mean"] for entry in log) < 0.02
