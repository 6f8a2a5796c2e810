"""The settings of a benchmark, one after the other: the two trainers take turns in each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rlkit.terminal import note
from update.measured import TRAINERS, build_trainer, run_update
from update.policies import load_tokenizer, locate_policy
from update.rollouts import Rollouts, ask_sampler, count_without_signal, draw_rollouts, give_rewards
from update.tables import summarise


def measure_speed(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield for each setting what `summarise` says of its runs."""
    trainers = build_trainers(args, list(TRAINERS), folder)
    for kind in args.lengths:
        drawn = draw(args, kind, trainers["trl"])
        for trainer in trainers.values():
            run_update(trainer, give_rewards(drawn, 0.0, args.size.num_generations, 0))
        for sampler in choose_samplers(args):
            for share in args.zero_share:
                pairs = []
                for repeat in range(args.repeats):
                    given = give_rewards(drawn, share, args.size.num_generations, repeat)
                    given = given if sampler else given.without_sampler()
                    pairs.append((run_update(trainers["trl"], given), run_update(trainers["rlkit"], given)))
                num_flat = count_without_signal(given, args.size.num_generations)
                row = {"lengths": kind, "sampler": sampler, "zero_share": num_flat / args.size.rows, **summarise(pairs)}
                note(f"{kind}, sampler {sampler}, {share:.0%} without signal: {row['ratio']['median']:.2f}")
                yield row


def build_trainers(args: argparse.Namespace, names: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return trainers by name, each with weights of its own from the same file."""
    directory = locate_policy(args.model, folder)
    options = {"beta": args.beta, "gradient_checkpointing": args.gradient_checkpointing}
    tokenizer = load_tokenizer(directory)
    return {name: build_trainer(name, directory, tokenizer, args.size, options, folder) for name in names}


def draw(args: argparse.Namespace, kind: str, trainer: Any) -> Rollouts:
    """Return rollouts whose tokens the policy knows, with a sampler's log-probs."""
    tokenizer = trainer.processing_class
    drawn = draw_rollouts(kind, args.size, len(tokenizer), {*tokenizer.all_special_ids}, seed=0)
    return ask_sampler(drawn, trainer.model, seed=0)


def choose_samplers(args: argparse.Namespace) -> list[bool]:
    """Return whether there are sampler log-probs, one setting after the other."""
    return [True, False] if args.sampler is None else [args.sampler]
