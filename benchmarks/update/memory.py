"""How much memory a process takes at most when one trainer does its update and nothing else."""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from update.measured import TRAINERS, run_update
from update.rollouts import give_rewards
from update.turns import build_trainers, choose_samplers, draw

SCRIPT = Path(__file__).parent.parent / "update_speed.py"
MIB = 2**20


def read_peak() -> float:
    """Return in MiB the most that this process held: allocated on the GPU where there is one, else resident."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / MIB
    # `ru_maxrss` of a new process begins at its parent's, so it is only the way out where there is no /proc.
    kilobytes = _read_status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1024


def read_held() -> float:
    """Return in MiB what this process holds now; NaN where the system does not tell."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / MIB
    return (_read_status("VmRSS") or float("nan")) / 1024


def _read_status(key: str) -> float | None:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) for line in lines if line.startswith(key + ":")), None)


def measure_apart(words: list[str], script: Path = SCRIPT) -> dict[str, float]:
    """Run a script in a process of its own and return what it found: the last line that it prints, as JSON.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Measuring memory ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare_peaks(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield for each setting the peak memory of a process of its own for each trainer; the first share only."""
    for kind in args.lengths:
        for sampler in choose_samplers(args):
            words = ["--lengths", kind, "--sampler" if sampler else "--no-sampler", *_write_words(args)]
            peaks = {name: measure_apart(["--peak-of", name, *words]) for name in TRAINERS}
            yield {"lengths": kind, "sampler": sampler, "zero_share": args.zero_share[0], **peaks}


def _write_words(args: argparse.Namespace) -> list[str]:
    """Return the options that give another process of this script the same setting."""
    size = args.size
    words: list[Any] = ["--rows", size.rows, "--micro-batch", size.rows_at_once, "--generations", size.num_generations]
    words += ["--prompt-tokens", size.prompt_tokens, "--completion-tokens", size.completion_tokens]
    words += ["--zero-share", args.zero_share[0], "--beta", args.beta]
    words += ["--gradient-checkpointing" if args.gradient_checkpointing else "--no-gradient-checkpointing"]
    words += ["--quick"] if args.quick else ["--model", args.model]
    return [str(word) for word in words]


def measure_peak(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Return the memory that one trainer takes for its update in this process."""
    trainer = build_trainers(args, [args.peak_of], folder)[args.peak_of]
    drawn = give_rewards(draw(args, args.lengths[0], trainer), args.zero_share[0], args.size.num_generations, 0)
    given = drawn if args.sampler else drawn.without_sampler()
    # Optimizer states exist from the first update on.
    run_update(trainer, given)
    gc.collect()
    held = read_held()
    run_update(trainer, given)
    return {"peak_mib": read_peak(), "held_mib": held}
