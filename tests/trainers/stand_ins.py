"""Models and data under the names that TRL's tests ask the hub for, built where a test runs: no download."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SIZES = {
    "hidden_size": 8,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 2,
    "max_position_embeddings": 2048,
}
FAMILIES = ("Qwen2", "Qwen3", "Llama", "Mistral")
HEADS = ("ForCausalLM", "ForSequenceClassification")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PAIRS = [(word, other) for word in ("better", "older", "wider") for other in ("complex", "flat", "now")]
PROMPTS = [f"What is {word} than {other}?" for word, other in PAIRS]


def build_stand_ins(suite: str, folder: Path) -> None:
    """Write into `folder` every model of a family that we can build and the data that a test file names."""
    tokenizer = build_tokenizer()
    for name in sorted(set(re.findall(r"trl-internal-testing/(tiny-[\w.-]+)", suite))):
        found = re.fullmatch(rf"tiny-({'|'.join(FAMILIES)})({'|'.join(HEADS)})[\w.-]*", name)
        if found:
            build_model("".join(found.groups()), found[1], len(tokenizer)).save_pretrained(folder / name)
            tokenizer.save_pretrained(folder / name)
    build_data(folder / "zen")


def build_model(architecture: str, family: str, vocab_size: int) -> torch.nn.Module:
    """Return a model of a few thousand random weights."""
    torch.manual_seed(0)
    more = {"num_labels": 1} if "Classification" in architecture else {}
    config = getattr(transformers, f"{family}Config")(vocab_size=vocab_size, pad_token_id=0, **SIZES, **more)
    config.eos_token_id = 1
    return getattr(transformers, architecture)(config)


def build_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes with the special tokens of a chat."""
    special = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([*special, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=special[0], eos_token=special[1], additional_special_tokens=special[2:]
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def build_data(folder: Path) -> None:
    """Write prompts as text and as chats, as a data set that `load_dataset` takes from a folder."""
    rows = {
        "standard_prompt_only": [{"prompt": prompt} for prompt in PROMPTS],
        "conversational_prompt_only": [{"prompt": [{"role": "user", "content": prompt}]} for prompt in PROMPTS],
    }
    configs = []
    for name, listed in rows.items():
        (folder / name).mkdir(parents=True)
        for split, part in (("train", listed * 2), ("test", listed[:4])):
            (folder / name / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
        files = [{"split": split, "path": f"{name}/{split}.jsonl"} for split in ("train", "test")]
        configs.append({"config_name": name, "data_files": files})
    # JSON is YAML.
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
