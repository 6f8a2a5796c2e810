"""What every test runs under, whether started by make or by a bare pytest."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Set before torch, transformers or vLLM are imported, and inherited by the processes that tests start.
_CACHE = Path(__file__).resolve().parent.parent / ".cache"
for _name, _value in {
    # Spinning waits of two OpenMP programs on the same cores slow each other down tenfold.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    # No test may depend on a hub, nor leave anything outside the repository.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "XDG_CACHE_HOME": str(_CACHE),
    "XDG_CONFIG_HOME": str(_CACHE / "config"),
    "TRITON_CACHE_DIR": str(_CACHE / "triton"),
    "TORCHINDUCTOR_CACHE_DIR": str(_CACHE / "inductor"),
}.items():
    os.environ.setdefault(_name, _value)

# Without bytecode every process that a test starts would compile all that it imports, which takes longer than the rest.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell ignores Ctrl-C for what it starts in the background, and programs inherit that; tests that send it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a failure is then the change's, not the day's.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, and say why."""
    if item.get_closest_marker("needs_compiler") and not shutil.which(os.environ.get("CXX", "c++")):
        pytest.skip("there is no C++ compiler on the path")
    if item.get_closest_marker("needs_vllm"):
        from rlkit.vllm_support import vllm_obstacle

        if obstacle := vllm_obstacle():
            pytest.skip(f"vLLM cannot be used: {obstacle}")
