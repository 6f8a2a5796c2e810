"""Models of a real model's shape with random weights, and tokenizers made on the spot: nothing is downloaded.

A forward or backward pass costs the same whatever the weights are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost.texts import vocabulary

SPECIAL = ("[PAD]", "[UNK]", "[EOS]", "[CLS]", "[SEP]")


@dataclass(frozen=True)
class Scale:
    """How large the two models are: keyword arguments of `LlamaConfig` and of `BertConfig`."""

    policy_name: str
    policy: Mapping[str, Any]
    encoder_name: str
    encoder: Mapping[str, Any]


FULL = Scale(
    "SmolLM2-135M",
    {
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
    },
    "all-MiniLM-L6-v2",
    {
        "vocab_size": 30522,
        "hidden_size": 384,
        "intermediate_size": 1536,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "max_position_embeddings": 512,
    },
)
"""The shapes of two small models that people use."""
_TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_TINY_VOCABULARY = {"vocab_size": 2048, "max_position_embeddings": 512}
QUICK = Scale("a toy", _TINY | _TINY_VOCABULARY, "a toy", _TINY | _TINY_VOCABULARY)
"""To see whether the benchmark runs; what it measures then means nothing."""


def build_tokenizer(for_encoder: bool = False) -> Any:
    """Return a tokenizer with a token a word and sign; for the policy a token a digit, as SmolLM2 has it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *vocabulary()]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    splits: list[Any] = [pre_tokenizers.BertPreTokenizer()]
    if for_encoder:
        ends = [(word, words.index(word)) for word in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    else:
        splits.append(pre_tokenizers.Digits(individual_digits=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", eos_token="[EOS]", padding_side="left"
    )


def build_policy(scale: Scale, tokenizer: Any) -> Any:
    """Return a float32 Llama with tied embeddings and random weights from a seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return LlamaForCausalLM(LlamaConfig(**scale.policy, **ends, bos_token_id=None, tie_word_embeddings=True))


def save_encoder(scale: Scale, directory: Path) -> str:
    """Write a BERT with random weights and its tokenizer, and return where."""
    from transformers import BertConfig, BertModel

    BertModel(BertConfig(**scale.encoder)).save_pretrained(directory)
    build_tokenizer(for_encoder=True).save_pretrained(directory)
    return str(directory)
