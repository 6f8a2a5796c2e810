"""A tiny random model on disk and a task that a random model can sometimes solve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from rlkit.types import Grade, Row

WORDS = ["<pad>", "<end>", *"abcdefgh"]


@dataclass(frozen=True)
class FirstLetter:
    """Prompt: some letters. Correct: an answer that starts with the first of them, however it goes on."""

    num_problems: int = 6
    name: ClassVar[str] = "first_letter"

    def load(self, split: str) -> list[Row]:
        letters = "abcdefgh"
        lengths = [1 + i % 3 for i in range(self.num_problems)]
        return [
            {"id": f"{split}-{i}", "prompt": " ".join(letters[(i + j) % 8] for j in range(length)), "num_solutions": 4}
            for i, length in enumerate(lengths)
        ]

    def grade(self, completion: str, row: Row) -> Grade:
        letters = completion.split()
        if not letters:
            return Grade(False, "empty")
        if len(letters) > 40:
            return Grade(None, "too_long_to_judge")
        if letters[0] != row["prompt"][0]:
            return Grade(False, "wrong_letter", letters[0])
        return Grade(True, "correct", "".join(sorted(set(letters))))

    def validate(self) -> None:
        for row in self.load("test"):
            assert self.grade(row["prompt"][0], row).correct


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a random two-layer Llama over ten words, context 48."""
    return build_tiny_model(tmp_path_factory.mktemp("tiny_model"))


@pytest.fixture(scope="session")
def first_letter() -> FirstLetter:
    """The task above."""
    return FirstLetter()


def build_tiny_model(folder: Path, seed: int = 0, context: int = 48) -> Path:
    """Save a random Llama and its tokenizer; the same seed gives the same weights."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=context,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
