"""Write what the tiny Countdown base model is made from: a corpus of random walks, and the model before it has learnt.

    python scripts/write_base_corpus.py recipes/base_model/countdown-tiny.yaml --output runs/base/countdown-tiny
    rlkit sft recipes/base_model/countdown-tiny_sft.yaml

DIR/corpus.jsonl holds prompts and answers (see base_model/corpus.py), DIR/untrained a freshly initialised Llama with
its tokenizer. `make base-model` does both and writes the model's card.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from base_model.corpus import Corpus, vocabulary
from base_model.recipe import BaseModelRecipe, load_recipe
from base_model.tokenizer import build_tokenizer
from rlkit.errors import RlkitError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

_ROWS_AT_ONCE = 4096


def build_model(recipe: BaseModelRecipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a freshly initialised float32 Llama with the recipe's shape."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    shape = recipe.model
    special = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_heads,
        head_dim=shape.hidden_size // shape.num_heads,
        max_position_embeddings=shape.max_length,
        tie_word_embeddings=True,
        dtype="float32",
        **special,
    )
    torch.manual_seed(recipe.corpus.seed)
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=True, **special)
    return model


def write_model(recipe: BaseModelRecipe, output: Path) -> None:
    """Write untrained weights, configuration and tokenizer."""
    tokenizer = build_tokenizer(vocabulary(recipe.problems), recipe.model.max_length)
    build_model(recipe, tokenizer).save_pretrained(output)
    tokenizer.save_pretrained(output)


def write_corpus(recipe: BaseModelRecipe, path: Path) -> None:
    """Write `num_rows` rows of prompt and answer; the end token is the trainer's to add."""
    corpus = Corpus(recipe.problems, recipe.corpus.wrong_target_share, recipe.corpus.seed)
    words, left = np.array(vocabulary(recipe.problems)), recipe.corpus.num_rows
    batches = corpus.batches(_ROWS_AT_ONCE)
    with path.open("w") as file:
        while left > 0:
            for row in words[next(batches)[:left]]:
                prompt, answer = " ".join(row[: corpus.prompt_length]), " ".join(row[corpus.prompt_length : -1])
                file.write(json.dumps({"prompt": prompt, "completion": answer}) + "\n")
            left -= _ROWS_AT_ONCE


def main(argv: list[str] | None = None) -> int:
    """Write both; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="YAML file with the problems, the model's shape and the corpus")
    parser.add_argument("--output", type=Path, required=True, help="directory that receives corpus and model")
    args = parser.parse_args(argv)
    try:
        recipe = load_recipe(args.recipe)
    except RlkitError as error:
        print(f"write_base_corpus: {error}", file=sys.stderr)
        return 2
    args.output.mkdir(parents=True, exist_ok=True)
    write_model(recipe, args.output / "untrained")
    write_corpus(recipe, args.output / "corpus.jsonl")
    print(f"Wrote {recipe.corpus.num_rows:,} rows and an untrained model to {args.output}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
