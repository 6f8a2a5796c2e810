"""Small models and adapters of one origin, and their tensors as the library reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.evaluation.conftest import build_tiny_model


def perturb(model: Path, folder: Path, seed: int, scale: float = 0.05, **saving: Any) -> Path:
    """Save a model whose every weight was moved, as training would, with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    moved = AutoModelForCausalLM.from_pretrained(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in moved.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * scale)
    moved.save_pretrained(folder, **saving)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    return folder


def build_adapter(base: Path, folder: Path, seed: int = 0, **settings: Any) -> Path:
    """Save a LoRA adapter whose B is not zero."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    options = {"r": 2, "lora_alpha": 6, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM"} | settings
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**options))
    for name, weight in model.named_parameters():
        if "lora_B" in name or "lora_embedding_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    return folder


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a directory, of all its files, as the library reads them."""
    from safetensors.torch import load_file

    return {name: each for file in folder.glob("*.safetensors") for name, each in load_file(file).items()}


def logits_of(folder: Path) -> torch.Tensor:
    """Return what a model directory gives for two fixed sequences, in float64 so that rounding does not matter."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([[2, 5, 3, 9, 4], [7, 7, 1, 2, 8]])).logits
    return logits


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return perturb(base, tmp_path_factory.mktemp("run"), seed=1)


@pytest.fixture(scope="session")
def other(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return perturb(base, tmp_path_factory.mktemp("other"), seed=2)


@pytest.fixture(scope="session")
def sharded(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of `run`, in several files."""
    folder = perturb(run, tmp_path_factory.mktemp("sharded"), seed=0, scale=0.0, max_shard_size="60KB")
    assert len([*folder.glob("*.safetensors")]) > 2
    return folder
