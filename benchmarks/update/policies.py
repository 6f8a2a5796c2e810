"""The policies that are updated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cost.models import FULL, QUICK, build_policy, build_tokenizer
from rlkit.models import locate_model

POLICIES = {"tiny": "countdown-tiny", "135m": "SmolLM2-135M's shape, random weights", "toy": "a toy, random weights"}


def locate_policy(name: str, folder: Path) -> str:
    """Return the directory of one of `POLICIES`; one with random weights is written into `folder`."""
    if name == "tiny":
        return locate_model("countdown-tiny")
    directory, tokenizer = folder / "policy", build_tokenizer()
    build_policy(FULL if name == "135m" else QUICK, tokenizer).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(directory)


def load_tokenizer(directory: str) -> Any:
    """Return the tokenizer beside a policy, set to pad on the left."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory, padding_side="left")
