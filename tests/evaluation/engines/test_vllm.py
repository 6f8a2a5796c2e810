"""vLLM on this machine, with or without a GPU: the same distribution, log-probs and entropies as transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.evaluation import store
from rlkit.evaluation.engines.vllm import VllmEngine

_COMMAND = [sys.executable, "-m", "rlkit", "eval", "--n", "200", "--max-tokens", "20", "--seed", "1"]


def evaluate(model: Path, engine: str, output: Path) -> list[dict]:
    task = f"{Path(__file__).parents[1] / 'conftest.py'}:FirstLetter"
    command = [*_COMMAND, "--model", str(model), "--task", task, "--engine", engine, "--output", str(output)]
    # A process of its own: vLLM binds threads and holds memory for as long as its process lives.
    subprocess.run(command, check=True, capture_output=True, text=True)
    return list(store.read_samples(output))


@pytest.mark.needs_vllm
@pytest.mark.slow
def test_both_engines_draw_from_the_same_distribution(tiny_model: Path, tmp_path: Path) -> None:
    ours, theirs = (evaluate(tiny_model, engine, tmp_path / engine) for engine in ("hf", "vllm"))
    assert len(ours) == len(theirs) == 6 * 200
    for field in ("num_tokens", "logp_sum", "logp_mean", "entropy_mean"):
        a, b = (np.array([record[field] for record in records]) for records in (ours, theirs))
        error = np.sqrt(a.var() / len(a) + b.var() / len(b))
        assert abs(a.mean() - b.mean()) < 4 * error, field
    # The same short text after the same prompt has the same log-prob and entropy, whoever drew it.
    known = {(r["prompt_id"], r["completion"]): r for r in ours if r["num_tokens"] <= 4}
    shared = [(known[key], r) for r in theirs if (key := (r["prompt_id"], r["completion"])) in known]
    pairs = [(a, b) for a, b in shared if a["num_tokens"] == b["num_tokens"] == len(a["completion"].split()) + 1]
    assert len(pairs) > 30
    for a, b in pairs:
        assert a["logp_sum"] == pytest.approx(b["logp_sum"], abs=1e-3)
        assert a["entropy_mean"] == pytest.approx(b["entropy_mean"], abs=1e-3)
    assert len({record["completion"] for record in theirs}) > 100


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"dtype": "fp16"}, "dtype='fp16'.*float16"),
        ({"tensor_parallel_size": 0}, "at least 1"),
        ({"tensor_parallel_size": True}, "at least 1"),
        ({"max_num_seqs": "x"}, "least 1"),
        ({"max_num_seqs": 2.0}, "whole number"),
        ({"cpu_cache_gib": 0.5}, "whole number"),
        ({"max_model_len": 0}, "at least 1"),
        ({"max_model_len": "long"}, "at least 1"),
        ({"gpu_memory_utilization": 0}, "above 0, at most 1"),
        ({"gpu_memory_utilization": 1.5}, "above 0, at most 1"),
        ({"gpu_memory_utilization": float("nan")}, "above 0, at most 1"),
        ({"gpu_memory_utilization": True}, "above 0, at most 1"),
        ({"enforce_eager": "no"}, "true or false"),
        ({"enforce_eager": 1}, "true or false"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        VllmEngine(**parameters)
