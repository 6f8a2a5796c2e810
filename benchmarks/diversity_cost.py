"""Measure what advantage chains, partitions and diversity metrics cost of a training step on the CPU.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python benchmarks/diversity_cost.py --json runs/diversity_cost.json
    python benchmarks/diversity_cost.py --methods darling "darling, embedding" --steps 5

Trains a model of SmolLM2-135M's shape with random weights by DiverseGRPOTrainer: 32 completions, 16 a prompt, one
optimizer step a batch, float32, sampling with transformers. Every token is sampled; then worked Countdown texts take
the place of what random weights wrote, so that partitions find equations and answers. In each step every method reads
and scores the same batch, and its time is set against that step's, so that all meet the same load of the machine.
Printed are the median share of the step's wall time and its range over steps; forward passes of the policy that a
chain asks for are stated apart. One step more is trained first and not counted. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost.methods import NAMES, build_methods
from cost.models import FULL, QUICK
from rlkit.terminal import note
from rlkit.trainers.stack import quiet_libraries

CHAIN_GROUPS = (64, 16)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print two tables and write them where asked to."""
    args = build_parser().parse_args(words)
    quiet_libraries()
    from rich.console import Console

    from cost.chains import time_chains
    from cost.tables import describe_machine, tabulate_chains, tabulate_methods

    chains = time_chains(*CHAIN_GROUPS, repeats=3 if args.quick else 200)
    with tempfile.TemporaryDirectory() as folder:
        methods = build_methods(QUICK if args.quick else FULL, Path(folder))
        found = measure(args, methods, Path(folder))
    result = {"date": time.strftime("%Y-%m-%d"), "machine": describe_machine(), **found, "chains_us": chains}
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(describe(result), highlight=False, soft_wrap=True)
    console.print(tabulate_methods(result["methods"], methods))
    console.print(f"Advantage chains alone, {CHAIN_GROUPS[0]} prompts x {CHAIN_GROUPS[1]} completions")
    console.print(tabulate_chains(chains))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")
        note(f"Wrote {args.json}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--methods", nargs="+", choices=NAMES, default=list(NAMES), metavar="METHOD", help=f"any of {'; '.join(NAMES)}"
    )
    parser.add_argument(
        "--steps", type=_at_least_one, default=3, help="optimizer steps measured (default: %(default)s)"
    )
    parser.add_argument(
        "--completion-tokens", type=_at_least_one, default=128, help="sampled a completion (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured as JSON")
    parser.add_argument("--quick", action="store_true", help="toy models, only to see that everything runs")
    return parser


def measure(args: argparse.Namespace, methods: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings and, for each method asked for, what its steps came to."""
    from cost.tables import summarise_steps
    from cost.training import NUM_GENERATIONS, ROWS, train_with_all

    scale = QUICK if args.quick else FULL
    chosen = {name: methods[name] for name in args.methods}
    steps = train_with_all(chosen, scale, args.steps, args.completion_tokens, folder)
    settings = {
        "policy": scale.policy_name,
        "encoder": scale.encoder_name,
        "rows": ROWS,
        "num_generations": NUM_GENERATIONS,
        "completion_tokens": args.completion_tokens,
    }
    found = {name: summarise_steps(steps[name]) for name in chosen}
    return {"settings": settings, "methods": found}


def describe(result: dict[str, Any]) -> str:
    """Return in two lines what was measured, and where."""
    settings, machine = result["settings"], result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Policy: {settings['policy']}'s shape, {settings['rows']} rows, {settings['num_generations']} a prompt, "
        f"{settings['completion_tokens']} tokens sampled a row; encoder: {settings['encoder']}'s shape\n"
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores, load {machine['load']}; {versions}"
    )


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
