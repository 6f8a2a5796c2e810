"""Measure how much faster DiverseGRPOTrainer's update is than trl.GRPOTrainer's, on the same rollouts.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python benchmarks/update_speed.py --json runs/update_speed.json
    python benchmarks/update_speed.py --model tiny --zero-share 0 0.5 --sampler --repeats 5

The update is everything after sampling but the rewards: the clock runs from the end of sampling until the optimizer has
stepped, and rests while rewards are calculated. Forward passes for old and reference log-probs are in it. Both trainers
live in one process, have the same weights and get the same frozen rollouts; they take turns (TRL, rlkit, TRL, ...), and
each ratio is of two neighbouring runs, so that both meet the same load; beside wall time it is given in CPU time, which
other processes hardly touch (on a GPU it says nothing). A first run of each is not counted. The learning rate is 0, so
that all runs start from the same weights; the gradient's norm is compared in every pair.

`spread`: completion lengths are log-normal, the median 35 % of the longest, some at the longest; `equal`: all are the
longest. With sampler log-probs the trainers correct for the sampler as they do with vLLM; no engine runs. Rows without
signal are whole groups all right or all wrong. Peak memory is that of a fresh process for each trainer (resident set;
on a GPU what torch allocated) over two updates. Nothing is downloaded.
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

from rlkit.terminal import note
from rlkit.trainers.stack import quiet_libraries
from update.rollouts import LENGTHS, Size

SIZES = {"135m": Size(20, 4, 2, 32, 96), "tiny": Size(80, 16, 8, 24, 96), "toy": Size(8, 4, 2, 8, 16)}


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print two tables and write them where asked to."""
    parser = build_parser()
    args = parser.parse_args(words)
    fill_defaults(args)
    for name, part in (("--micro-batch", args.size.rows_at_once), ("--generations", args.size.num_generations)):
        if args.size.rows % part:
            parser.error(f"--rows {args.size.rows} is no multiple of {name} {part}")
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        if args.peak_of is not None:
            from update.memory import measure_peak

            print(json.dumps(measure_peak(args, Path(folder))))
            return 0
        result = measure(args, Path(folder))
    show(result)
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")
        note(f"Wrote {args.json}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, switch = parser.add_argument, argparse.BooleanOptionalAction
    add("--model", choices=("tiny", "135m"), default="135m", help="bundled countdown-tiny, or SmolLM2-135M's shape")
    add("--rows", type=_at_least_one, help="completions of a batch, which is one step (default: 20, tiny 80)")
    add("--micro-batch", type=_at_least_one, help="rows of TRL's forward passes (default: 4, tiny 16)")
    add("--generations", type=_at_least_two, help="completions a prompt, 2 or more (default: 2, tiny 8)")
    add("--prompt-tokens", type=_at_least_one, help="tokens of every prompt (default: 32, tiny 24)")
    add("--completion-tokens", type=_at_least_one, help="tokens of the longest completion (default: 96)")
    add("--lengths", nargs="+", choices=LENGTHS, default=list(LENGTHS), help="of completions (default: both)")
    add("--zero-share", nargs="+", type=_share, help="rows without signal (default: 0 0.3 0.5 0.6)", metavar="SHARE")
    add("--sampler", action=switch, help="with a sampler's log-probs, or without (default: both)")
    add("--repeats", type=_at_least_one, help="pairs of runs a setting (default: 3, tiny 7)")
    add("--beta", type=float, default=0.0, help="TRL's coefficient of the KL divergence (default: %(default)s, TRL's)")
    add("--gradient-checkpointing", action=switch, default=True, help="compute activations twice (default: on, TRL's)")
    add("--memory", action=switch, default=True, help="measure peak memory too (default: on)")
    add("--json", type=Path, metavar="FILE", help="also write what was measured as JSON")
    add("--quick", action="store_true", help="a toy model, only to see that everything runs")
    add("--peak-of", choices=("trl", "rlkit"), help=argparse.SUPPRESS)
    return parser


def fill_defaults(args: argparse.Namespace) -> None:
    """Complete what was not given with what fits the model, in place."""
    args.model = "toy" if args.quick else args.model
    fitting = SIZES[args.model]
    args.size = Size(
        args.rows or fitting.rows,
        args.micro_batch or fitting.rows_at_once,
        args.generations or fitting.num_generations,
        args.prompt_tokens or fitting.prompt_tokens,
        args.completion_tokens or fitting.completion_tokens,
    )
    args.repeats = args.repeats or {"135m": 3, "tiny": 7, "toy": 1}[args.model]
    args.zero_share = args.zero_share or ([0.0, 0.5] if args.quick else [0.0, 0.3, 0.5, 0.6])


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return everything that was measured, and where."""
    from cost.tables import describe_machine
    from update.memory import compare_peaks
    from update.turns import measure_speed

    found = list(measure_speed(args, folder))
    memory = list(compare_peaks(args)) if args.memory else []
    told = {key: vars(args)[key] for key in ("model", "repeats", "beta", "gradient_checkpointing")}
    where = {"date": time.strftime("%Y-%m-%d"), "machine": describe_machine()}
    return where | {"settings": told | vars(args.size), "speed": found, "memory": memory}


def show(result: dict[str, Any]) -> None:
    """Print what was measured, and where."""
    from rich.console import Console

    from update.tables import tabulate_memory, tabulate_speed

    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(describe(result), highlight=False)
    console.print(tabulate_speed(result["speed"]))
    worst = max(row["grad_norm_difference"] for row in result["speed"])
    console.print(f"Gradient norms of a pair differ by {worst:.1e} at most, relative.", highlight=False)
    if result["memory"]:
        console.print("Peak memory, MiB")
        console.print(tabulate_memory(result["memory"]))


def describe(result: dict[str, Any]) -> str:
    """Return in three lines what was measured, and where."""
    from update.policies import POLICIES

    settings, machine = result["settings"], result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    checkpointing = "on" if settings["gradient_checkpointing"] else "off"
    return (
        f"{POLICIES[settings['model']]}; {settings['rows']} rows, {settings['rows_at_once']} at once, "
        f"{settings['num_generations']} a prompt, {settings['prompt_tokens']} + {settings['completion_tokens']} tokens"
        f"\nbeta {settings['beta']:g}, gradient checkpointing {checkpointing}, {settings['repeats']} repeats\n"
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores, load {machine['load']}; {versions}"
    )


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _at_least_two(text: str) -> int:
    if (value := _at_least_one(text)) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is below 2, and one completion has no group to be compared with")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to below 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
