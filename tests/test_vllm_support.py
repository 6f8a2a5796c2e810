"""Every reason for which vLLM is refused, and that it is refused before anything is loaded."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.vllm import VllmEngine
from rlkit.vllm_support import vllm_obstacle


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without a GPU on which nothing is in the way; the tests put it there."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("sys.prefix", "/home/someone/rlkit/.venv")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return monkeypatch


def test_nothing_is_in_the_way(able: pytest.MonkeyPatch) -> None:
    assert vllm_obstacle() is None


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("importlib.util.find_spec", lambda name: None, "not installed"),
        ("shutil.which", lambda name: None, "no g"),
        ("sys.prefix", "/home/some one/.venv", "/home/some one/.venv"),
    ],
)
def test_each_obstacle_is_named_and_refused(able: pytest.MonkeyPatch, place: str, value: object, said: str) -> None:
    able.setattr(place, value)
    assert said in str(vllm_obstacle())
    with pytest.raises(ConfigError, match="engine hf"):
        VllmEngine().check()


def test_a_gpu_needs_neither_compiler_nor_plain_path(able: pytest.MonkeyPatch) -> None:
    able.setattr("torch.cuda.is_available", lambda: True)
    able.setattr("shutil.which", lambda name: None)
    able.setattr("sys.prefix", "/home/some one/.venv")
    assert vllm_obstacle() is None
