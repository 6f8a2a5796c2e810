"""Measure how long an average of checkpoints takes, and how much memory beside the size of one of them.

    OMP_NUM_THREADS=1 python benchmarks/merge_speed.py --json runs/merge_speed.json
    python benchmarks/merge_speed.py --quick      # toy models: does it run?

Checkpoints of SmolLM2-135M's shape with random weights are written to a temporary folder, and `rlkit merge average` is
run on them in a process of its own. Seconds are from its start to its end, libraries loaded and the result on the disk:
by the clock, and of the processor, which other work beside it changes less. Memory is the most that the process ever
held (VmHWM), with the interpreter and torch, which alone take what stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost.models import FULL, QUICK
from rlkit.terminal import note

DTYPES = ("float32", "bfloat16")
# The high-water mark of resource.getrusage would be that of whoever started the process, where that is larger.
MEASURED = """
import sys, time
from rlkit.cli import main

def held():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

import torch
before = held()
code = main(sys.argv[1:])
print(before, held(), time.process_time())
sys.exit(code)
"""


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print and write where asked to."""
    args = build_parser().parse_args(words)
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "checkpoints": args.checkpoints,
        "averages": [],
    }
    for dtype in DTYPES:
        with tempfile.TemporaryDirectory() as folder:
            models = write_checkpoints(Path(folder), args.checkpoints, dtype, args.quick)
            for _ in range(args.repeats):
                result["averages"].append({"dtype": dtype, **measure_average(models, Path(folder) / "out")})
    print(describe(result))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")
        note(f"Wrote {args.json}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=_count, default=6, metavar="N", help="averaged (default: %(default)s)")
    parser.add_argument("--repeats", type=_count, default=3, metavar="N", help="of each type (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="toy models")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured as JSON")
    return parser


def write_checkpoints(folder: Path, count: int, dtype: str, is_quick: bool) -> list[Path]:
    """Save models of one shape whose weights differ a little, as those of one run do."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(**(QUICK if is_quick else FULL).policy, tie_word_embeddings=True)
    model = LlamaForCausalLM(config).to(getattr(torch, dtype))
    folders = [folder / f"checkpoint-{step}" for step in range(count)]
    for each in folders:
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(1e-3 * torch.randn(weight.shape[-1], dtype=weight.dtype))
        model.save_pretrained(each)
    return folders


def measure_average(models: Sequence[Path], output: Path) -> dict[str, Any]:
    """Return seconds and memory of one average, and the size of a model."""
    words = ["merge", "average", *map(str, models), "--output", str(output), "--overwrite"]
    start = time.perf_counter()
    ran = subprocess.run([sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    before, peak, cpu_seconds = map(float, ran.stdout.split())
    size = (models[0] / "model.safetensors").stat().st_size / (1 << 20)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "model_mib": size,
        "before_mib": before / 1024,
        "peak_mib": peak / 1024,
        "ratio": peak / 1024 / size,
    }


def describe(result: dict[str, Any]) -> str:
    """Return what was measured, one line a merge."""
    machine = result["machine"]
    lines = [f"{machine['cores']} cores, load {machine['load']}"]
    for each in result["averages"]:
        size = f"{result['checkpoints']} x {each['model_mib']:,.1f} MiB in {each['dtype']}"
        time_taken = f"{each['seconds']:.1f} s ({each['cpu_seconds']:.1f} s of the processor)"
        memory = f"at most {each['peak_mib']:,.0f} MiB ({each['before_mib']:,.0f} before the merge)"
        lines.append(f"average of {size}: {time_taken}, {memory}, {each['ratio']:.2f} times one model")
    return "\n".join(lines)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; write a number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
