"""The learned judge behind a real vLLM server gives what the same model gives in this process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from itertools import combinations

import numpy as np
import pytest

from rlkit.diversity import CrossEncoder
from rlkit.diversity.cross_encoder import PAPER_TEMPLATE

TEXTS = ["a b c", "d e", "1 + 2 = 3 x y z", "a b d"]
TEMPLATE = "{first} [SEP] {second}"


@pytest.fixture(scope="module")
def path(tiny_classifier):
    # vLLM's attention on a CPU knows heads of 32 and more.
    return tiny_classifier(hidden_size=64)


@pytest.fixture(scope="module")
def url(path, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path_factory.mktemp("vllm") / "log.txt"
    words = ["--model", path, "--served-model-name", "judge", "--runner", "pooling", "--port", str(port)]
    words += ["--dtype", "float32", "--enforce-eager", "--host", "127.0.0.1"]
    # Compiled kernels take a minute to build and gain nothing on four short texts.
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
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(server, address, said):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert server.poll() is None, said.read_text()[-3000:]
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise AssertionError(said.read_text()[-3000:])


@pytest.mark.slow
@pytest.mark.needs_vllm
def test_served_and_local_judgements_agree(path, url):
    pairs = list(combinations(TEXTS, 2))
    all_local = []
    for template in (TEMPLATE, PAPER_TEMPLATE):
        local = CrossEncoder(model=path, template=template).score(pairs)
        served = CrossEncoder(model="judge", url=url, template=template).score(pairs)
        assert np.ptp(local) > 0.01
        np.testing.assert_allclose(served, local, atol=2e-3)
        all_local.append(local)
    # Both sides add the tokenizer's special tokens: what a template holds of them comes on top, and would be noticed.
    assert np.abs(all_local[0] - all_local[1]).max() > 0.01
    default = CrossEncoder(model="judge", url=url).score(pairs)
    np.testing.assert_allclose(default, all_local[1], atol=2e-3)
