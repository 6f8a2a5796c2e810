"""Evaluations of a tiny random model, of a perturbed copy, and of the copy as a LoRA adapter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlkit.evaluation import evaluate
from tests.evaluation.conftest import FirstLetter, build_tiny_model

SAMPLING = {"max_tokens": 24, "seed": 1}


def perturbed_copy(model: Path, folder: Path, scale: float = 0.02, dtype: torch.dtype = torch.float32) -> Path:
    """Save a copy of a model with noise on every weight."""
    copy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    copy.to(dtype).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of the base: 6 prompts, 6 samples each; the model lies in `../base_model`."""
    root = tmp_path_factory.mktemp("probing")
    build_tiny_model(root / "base_model")
    evaluate(str(root / "base_model"), FirstLetter(), 6, root / "base", sampling=SAMPLING)
    return root / "base"


@pytest.fixture(scope="session")
def tuned_run(base_run: Path) -> Path:
    """An evaluation of the perturbed copy in `../tuned_model`."""
    root = base_run.parent
    perturbed_copy(root / "base_model", root / "tuned_model")
    evaluate(str(root / "tuned_model"), FirstLetter(), 6, root / "tuned", sampling=SAMPLING)
    return root / "tuned"
