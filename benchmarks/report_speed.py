"""Measure how long the numbers of an evaluation and the page of many evaluations take.

    OMP_NUM_THREADS=1 python benchmarks/report_speed.py --json runs/report_speed.json
    python benchmarks/report_speed.py --sizes 20x16 --runs 3 --run-size 20x16     # does it run?

Made-up samples are written as `rlkit eval` writes them: texts of about 300 characters, half of them right, each with an
answer. Timed for every size is what `rlkit eval` does once all samples are drawn, from samples.jsonl to report.json,
and beside it, in the same process, reading that file once line by line with `json`. Then so many evaluations become one
page, as by `rlkit report`. Ratios are of processor seconds to the reading's: less depends on the machine and its load.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rlkit.evaluation.configuration import EvaluationConfig
from rlkit.evaluation.metrics.measure import build_report as measure_samples
from rlkit.evaluation.planning import EvaluationPlan, GradesOnly
from rlkit.evaluation.samples.reading import SAMPLES
from rlkit.evaluation.samples.store import SampleStore
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.files import write_json
from rlkit.report import build_report, write_report
from rlkit.terminal import note
from rlkit.types import Row

STEPS = (
    "First {a} + {b} = {c}.",
    "Then {a} * {b} = {c}.",
    "Next, {a} - {b} = {c}.",
    "That gives {c}.",
    "Now {b} and {a}.",
)
FAILURES = ("That is {c}, which is wrong, so I try something else.", "So {c}. Again.")
BATCH = 100
"""Problems that are written at once."""


class MadeUp:
    """A task of which only the name is asked."""

    name = "made-up"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print and write where asked to."""
    args = build_parser().parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        # Loads the libraries, which is not counted.
        measure_evaluation((2, 16), Path(folder) / "first")
        result = {
            "date": time.strftime("%Y-%m-%d"),
            "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
            "evaluations": [measure_evaluation(size, Path(folder) / "one") for size in args.sizes],
            "page": measure_page(args.runs, args.run_size, Path(folder) / "many") if args.runs else None,
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
    sizes = [(100, 64), (1_000, 64), (10_000, 64)]
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=_size,
        default=sizes,
        metavar="MxN",
        help="problems x samples (default: up to 10000x64)",
    )
    parser.add_argument(
        "--runs", type=int, default=64, help="evaluations in one page, 0 for none (default: %(default)s)"
    )
    parser.add_argument("--run-size", type=_size, default=(200, 64), metavar="MxN", help="of each (default: 200x64)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured as JSON")
    return parser


def measure_evaluation(size: tuple[int, int], folder: Path) -> dict[str, Any]:
    """Return the time from the samples to report.json, and that of reading them once."""
    plan = write_samples(size, folder / "x".join(map(str, size)), seed=0)
    path = plan.output / SAMPLES
    read_s, read_cpu_s, num_lines = timed(lambda: read_once(path))
    assert num_lines == size[0] * size[1]
    report_s, report_cpu_s, _ = timed(lambda: write_json(plan.output / "report.json", measure_samples(plan)))
    return {
        "problems": size[0],
        "samples": size[1],
        "mb": path.stat().st_size / 1e6,
        "read_s": read_s,
        "report_s": report_s,
        "read_cpu_s": read_cpu_s,
        "report_cpu_s": report_cpu_s,
        "ratio": report_cpu_s / read_cpu_s,
    }


def measure_page(num_runs: int, size: tuple[int, int], folder: Path) -> dict[str, Any]:
    """Return the time of one page of several evaluations, that of reading all their samples once, and its size."""
    plans = [write_samples(size, folder / f"run-{at:02d}", seed=at) for at in range(num_runs)]
    for plan in plans:
        write_json(plan.output / "report.json", measure_samples(plan))
    read_s, read_cpu_s, _ = timed(lambda: sum(read_once(plan.output / SAMPLES) for plan in plans))
    page = folder / "page.html"
    compare_s, compare_cpu_s, report = timed(lambda: build_report([plan.output for plan in plans]))
    write_s, write_cpu_s, _ = timed(lambda: write_report(report, page))
    cpu_s = compare_cpu_s + write_cpu_s
    return {
        "runs": num_runs,
        "problems": size[0],
        "samples": size[1],
        "read_s": read_s,
        "compare_s": compare_s,
        "write_s": write_s,
        "report_s": compare_s + write_s,
        "read_cpu_s": read_cpu_s,
        "report_cpu_s": cpu_s,
        "ratio": cpu_s / read_cpu_s,
        "page_mb": page.stat().st_size / 1e6,
        "json_mb": page.with_suffix(".json").stat().st_size / 1e6,
    }


def write_samples(size: tuple[int, int], folder: Path, seed: int) -> EvaluationPlan:
    """Write config.json and samples.jsonl of a made-up evaluation; return what measuring it needs."""
    num_problems, n = size
    rows: list[Row] = [
        {"id": f"made-up-{at:05d}", "prompt": f"Reach {at}.", "num_solutions": 12} for at in range(num_problems)
    ]
    config = EvaluationConfig(
        model=folder.name,
        model_fingerprint=folder.name,
        task="made-up",
        split="test",
        limit=None,
        prompts_digest="0" * 16,
        n=n,
        engine="hf",
        sampling=SamplingConfig(max_tokens=128, seed=seed),
    )
    generator = random.Random(seed)
    with SampleStore(folder, config) as store:
        for start in range(0, num_problems, BATCH):
            store.append([each for row in rows[start : start + BATCH] for each in draw_records(row, n, generator)])
    return EvaluationPlan(folder.name, folder.name, MadeUp(), rows, GradesOnly(), config, folder)  # type: ignore[arg-type]


def draw_records(row: Row, n: int, generator: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the lines of one problem; easy and hard ones, some samples cut off."""
    rate = generator.betavariate(0.5, 0.7)
    for sample in range(n):
        is_correct = generator.random() < rate
        is_cut = not is_correct and generator.random() < 0.1
        answer = (
            f"({min(generator.randrange(12), generator.randrange(12))} + 3) * 5"
            if is_correct
            else str(_draw(generator))
        )
        num_tokens, logp = generator.randrange(40, 128), -40.0 * generator.random()
        yield {
            "prompt_id": row["id"],
            "sample": sample,
            "completion": draw_text(generator) + (f"So the answer is \\boxed{{{answer}}}." if not is_cut else ""),
            "num_tokens": num_tokens,
            "finish_reason": "length" if is_cut else "stop",
            "logp_sum": logp,
            "logp_mean": logp / num_tokens,
            "entropy_mean": generator.random(),
            "correct": is_correct,
            "label": "correct" if is_correct else "truncated" if is_cut else "wrong",
            "answer": None if is_cut else answer,
            "class": None if is_cut else answer,
        }


def draw_text(generator: random.Random) -> str:
    """Return a few attempts in words and equations."""
    parts = []
    for _ in range(generator.randrange(2, 6)):
        parts += [generator.choice(STEPS) for _ in range(3)] + [generator.choice(FAILURES)]
    return re.sub(r"\{\w\}", lambda _: str(_draw(generator)), " ".join(parts)) + " "


def read_once(path: Path) -> int:
    """Read a file of samples once, as plainly as Python can; return its number of lines."""
    with path.open(encoding="utf-8") as lines:
        return sum(1 for line in lines if json.loads(line))


def describe(result: dict[str, Any]) -> str:
    """Return what was measured, one line a size."""
    machine = result["machine"]
    lines = [f"{machine['cores']} cores, load {machine['load']}"]
    lines += [
        f"report.json of {each['problems']:,} problems x {each['samples']} ({each['mb']:,.0f} MB): "
        f"{each['report_s']:.1f} s ({each['report_cpu_s']:.1f} s of the processor), {each['ratio']:.1f} times reading "
        f"the file once ({each['read_s']:.2f} s)"
        for each in result["evaluations"]
    ]
    if page := result["page"]:
        lines.append(
            f"page of {page['runs']} runs, {page['problems']} problems x {page['samples']}: {page['report_s']:.1f} s "
            f"(comparing {page['compare_s']:.1f}, writing {page['write_s']:.1f}; {page['report_cpu_s']:.1f} s of the "
            f"processor), {page['ratio']:.1f} times reading their samples once ({page['read_s']:.2f} s); "
            f"page {page['page_mb']:.1f} MB, JSON {page['json_mb']:.1f} MB"
        )
    return "\n".join(lines)


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return how many seconds a function takes, by the clock and of the processor, and what it returns."""
    start, cpu_start = time.perf_counter(), time.process_time()
    value = work()
    return time.perf_counter() - start, time.process_time() - cpu_start, value


def _draw(generator: random.Random) -> int:
    return int(min(generator.expovariate(0.03), 999))


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write problems x samples, for example 1000x64")
    return int(found[1]), int(found[2])


if __name__ == "__main__":
    sys.exit(main())
