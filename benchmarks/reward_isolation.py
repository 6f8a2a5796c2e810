"""Measure what isolation costs a reward: milliseconds of a call inline and in a process, and of starting a worker.

    OMP_NUM_THREADS=1 python benchmarks/reward_isolation.py --calls 2000

The reward does nothing, so that all that is measured is overhead; completions are distinct texts of the given length.
Medians over rounds, each with a warm pool; replacing a worker is measured by a reward that ends its process every time.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rlkit.rewards import bind_reward
from rlkit.rewards.engine import RewardEngine

_PLUGIN = """
import os
import rlkit

@rlkit.reward
def nothing(completion, target):
    return 0.0

@rlkit.reward(isolation="process", num_workers=1)
def ends(completion, target):
    os._exit(1)

@rlkit.reward
async def asks(completion, target):
    return 0.0
"""


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000, help="calls a round")
    parser.add_argument("--characters", type=int, default=2000, help="length of a completion")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plugin.py"
        file.write_text(_PLUGIN)
        texts = [f"{number} {'x' * args.characters}" for number in range(args.calls)]
        for label, spec in (
            ("inline", {"name": f"{file}:nothing"}),
            ("process, 1 worker", {"name": f"{file}:nothing", "run": {"isolation": "process", "num_workers": 1}}),
            ("process, 2 workers", {"name": f"{file}:nothing", "run": {"isolation": "process", "num_workers": 2}}),
            ("async", {"name": f"{file}:asks"}),
        ):
            with RewardEngine([bind_reward(spec)]) as engine:
                score(engine, texts)
                seconds = median(args.rounds, functools.partial(score, engine, texts))
            print(f"{label:20} {1000 * seconds / args.calls:8.3f} ms a call")
        with RewardEngine([bind_reward(f"{file}:ends")]) as engine:
            seconds = median(args.rounds, functools.partial(score, engine, texts[:10]))
        print(f"{'replacing a worker':20} {1000 * seconds / 10:8.1f} ms")


def score(engine: RewardEngine, texts: list[str]) -> None:
    """Score one batch."""
    engine.score(texts, ["p"] * len(texts), {"target": ["t"] * len(texts)})


def median(rounds: int, action: Callable[[], None]) -> float:
    """Return the median seconds of an action."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
