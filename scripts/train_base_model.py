"""Train the tiny Countdown base model from nothing and write it as a Hugging Face model directory.

    python scripts/train_base_model.py recipes/base_model/countdown-tiny.yaml --output rlkit/assets/countdown-tiny

Supervised next-token training on random walks (see base_model/corpus.py), a few minutes on two CPU cores. At the end
the model is sampled on held-out problems and the measured quality is printed and written to its model card.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from base_model.corpus import Corpus, vocabulary
from base_model.quality import measure_quality, write_card
from base_model.recipe import BaseModelRecipe, load_recipe
from base_model.tokenizer import build_tokenizer
from rlkit.errors import RlkitError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


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
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=True, **special)
    return model


def train(model: LlamaForCausalLM, recipe: BaseModelRecipe) -> float:
    """Train in place on the recipe's corpus; only answer tokens count. Returns the mean loss of the last 100 steps."""
    from rich.progress import track

    settings = recipe.training
    corpus = Corpus(recipe.problems, settings.wrong_target_share, settings.seed)
    batches = corpus.batches(settings.batch_size)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.num_steps, pct_start=settings.warmup_share, cycle_momentum=False
    )
    losses: list[float] = []
    for _ in track(range(settings.num_steps), description="Training the base model"):
        loss = answer_loss(model, torch.from_numpy(next(batches)), corpus.prompt_length)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if len(losses) % 100 == 0 and not sys.stdout.isatty():
            print(f"step {len(losses)}: loss {sum(losses[-100:]) / 100:.4f}", flush=True)
    recent = losses[-100:]
    return sum(recent) / len(recent)


def answer_loss(model: LlamaForCausalLM, ids_BT: torch.Tensor, prompt_length: int) -> torch.Tensor:
    """Return the mean cross-entropy in nats of the tokens after the prompt."""
    hidden_BTD = model.model(ids_BT[:, :-1]).last_hidden_state[:, prompt_length - 1 :]
    logits = model.lm_head(hidden_BTD)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids_BT[:, prompt_length:].flatten())


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, output: Path) -> None:
    """Write weights, configuration and tokenizer, readable as the process's umask says."""
    model.save_pretrained(output, safe_serialization=True)
    tokenizer.save_pretrained(output)
    weights = output / "model.safetensors"
    # safetensors writes its file for the owner alone; let it be as readable as the files beside it.
    weights.chmod((output / "config.json").stat().st_mode)


def main(argv: list[str] | None = None) -> int:
    """Train, save, measure; returns the exit code."""
    args = _parser().parse_args(argv)
    torch.set_num_threads(args.num_threads)
    try:
        recipe = load_recipe(args.recipe)
    except RlkitError as error:
        print(f"train_base_model: {error}", file=sys.stderr)
        return 2
    torch.manual_seed(recipe.training.seed)
    tokenizer = build_tokenizer(vocabulary(recipe.problems), recipe.model.max_length)
    model = build_model(recipe, tokenizer)
    started = time.perf_counter()
    loss = train(model, recipe)
    minutes = (time.perf_counter() - started) / 60
    save(model, tokenizer, args.output)
    print(f"{recipe.training.num_steps} steps in {minutes:.1f} minutes, loss {loss:.4f}; saved to {args.output}")
    facts = {
        "num_parameters": model.num_parameters(),
        "num_threads": args.num_threads,
        "minutes": minutes,
        "loss": loss,
        "command": f"python scripts/train_base_model.py {args.recipe} --output {args.output}",
    }
    print(write_card(args.output, recipe, measure_quality(args.output, recipe), facts))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="YAML file with the problems, the model's shape and the training")
    parser.add_argument("--output", type=Path, required=True, help="directory that receives the model")
    parser.add_argument("--num-threads", type=int, default=2, help="CPU threads (default: 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
