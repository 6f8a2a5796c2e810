"""The engine for servers against a real vLLM server: transformers' log-probs, an adapter, and stop texts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlkit.assets import model_path
from rlkit.evaluation import Sample, SamplingConfig
from rlkit.evaluation.engines.hf import HfEngine
from rlkit.evaluation.engines.openai import OpenaiEngine
from rlkit.tasks import resolve_task
from tests.evaluation.engines.test_adapters import build_adapter

pytestmark = [pytest.mark.slow, pytest.mark.needs_vllm]

SAMPLING = SamplingConfig(max_tokens=40, seed=1)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_adapter(model_path("countdown-tiny"), tmp_path_factory.mktemp("adapter"), rank=8, scale=0.03)


@pytest.fixture(scope="module")
def url(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path_factory.mktemp("vllm") / "log.txt"
    words = ["--model", str(model_path("countdown-tiny")), "--served-model-name", "countdown-tiny"]
    words += ["--dtype", "float32", "--enforce-eager", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--enable-lora", "--max-lora-rank", "8", "--lora-modules", f"tuned={adapter}"]
    # Compiled kernels take a minute to build and gain nothing on so small a model.
    quick = {"TORCH_COMPILE_DISABLE": "1", "TORCHDYNAMO_DISABLE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with said.open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *words],
            env=os.environ | quick,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(server, f"http://127.0.0.1:{port}/health", said)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(server: subprocess.Popen[bytes], address: str, said: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert server.poll() is None, said.read_text()[-3000:]
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise AssertionError(said.read_text()[-3000:])


def draw(engine: Any, model: str, sampling: SamplingConfig = SAMPLING, **settings: Any) -> list[Sample]:
    rows = resolve_task("countdown").load("test")[:4]
    batches = engine.sample(model, rows, 40, sampling, frozenset(), **settings)
    return [sample for batch in batches for sample in batch]


def logps_by_text(samples: list[Sample]) -> dict[tuple[str, str], float]:
    """Return log-probs by text; a server decodes what follows a prompt, so that its texts may begin with a blank."""
    finished = [sample for sample in samples if sample.finish_reason == "stop"]
    assert all(sample.logp_sum is not None for sample in finished)
    return {(sample.prompt_id, sample.completion.strip()): float(sample.logp_sum or 0.0) for sample in finished}


def assert_same_logps(ours: list[Sample], theirs: list[Sample], at_least: int = 16) -> None:
    assert len(ours) == len(theirs) == 160
    mine, others = logps_by_text(ours), logps_by_text(theirs)
    shared = mine.keys() & others.keys()
    assert len(shared) >= at_least
    for key in shared:
        assert mine[key] == pytest.approx(others[key], abs=1e-3), key


def test_log_probs_are_those_of_transformers(url: str) -> None:
    OpenaiEngine(base_url=url).check()
    served = draw(OpenaiEngine(base_url=url), "countdown-tiny")
    assert_same_logps(served, draw(HfEngine(), str(model_path("countdown-tiny"))))
    # However requests are cut, the seeds make the same samples.
    small = draw(OpenaiEngine(base_url=url, samples_per_request=7), "countdown-tiny")
    assert {s.key: s.completion for s in small} == {s.key: s.completion for s in served}


def test_temperature_and_truncation_are_not_in_the_log_probs(url: str) -> None:
    warm = SamplingConfig(max_tokens=40, seed=1, temperature=0.7, top_p=0.9, top_k=20, min_p=0.01)
    served = draw(OpenaiEngine(base_url=url), "countdown-tiny", warm)
    assert_same_logps(served, draw(HfEngine(), str(model_path("countdown-tiny")), warm))


def test_an_adapter_goes_by_the_name_it_is_served_under(url: str, adapter: Path) -> None:
    served = draw(OpenaiEngine(base_url=url), "countdown-tiny", adapter="tuned")
    local = draw(HfEngine(), str(model_path("countdown-tiny")), adapter=str(adapter))
    assert_same_logps(served, local, at_least=3)
    base = logps_by_text(draw(OpenaiEngine(base_url=url), "countdown-tiny"))
    tuned = logps_by_text(served)
    shared = base.keys() & tuned.keys()
    assert sum(abs(base[key] - tuned[key]) > 0.01 for key in shared) > 0.8 * len(shared)
    assert base.keys() != tuned.keys()


def test_stop_texts_end_completions_and_are_not_part_of_them(url: str) -> None:
    drawn = draw(OpenaiEngine(base_url=url), "countdown-tiny", SamplingConfig(max_tokens=40, seed=1, stop=("*",)))
    assert all("*" not in sample.completion for sample in drawn)
    assert any(sample.finish_reason == "stop" and sample.num_tokens > 1 for sample in drawn)
