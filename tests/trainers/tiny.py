"""A random tiny Llama with a word tokenizer, small enough to train in a test without any download."""

from __future__ import annotations

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ["<pad>", "<eos>", *(str(number) for number in range(20)), "+", "-", "*", "/", "(", ")"]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token a word."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", padding_side="left", model_max_length=64
    )


def build_model(seed: int = 0) -> LlamaForCausalLM:
    """Return a Llama of about 20k parameters with weights from a seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=1,
    )
    return LlamaForCausalLM(config)


def build_dataset(num_rows: int = 16) -> Dataset:
    """Return prompts of four numbers with a gold column `target`."""
    rows = [{"prompt": f"{i % 13} {(i * 5) % 13} {(i * 7) % 13} 3", "target": i % 17} for i in range(num_rows)]
    return Dataset.from_list(rows)


def training_arguments(output_dir: str, **changes: object) -> dict[str, object]:
    """Return keyword arguments of a CPU run of two small steps."""
    return {
        "output_dir": output_dir,
        "use_cpu": True,
        "bf16": False,
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 6,
        "max_steps": 2,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "seed": 0,
    } | changes
