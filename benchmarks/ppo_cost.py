"""Measure what a critic costs: seconds and peak memory of an update, against GRPO's on the same rollouts.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python benchmarks/ppo_cost.py --json runs/ppo_cost.json
    python benchmarks/ppo_cost.py --model tiny --repeats 5
    python benchmarks/ppo_cost.py --quick      # a toy: does it run?

The update is everything after sampling but the rewards, as in update_speed.py: the critic's forward passes and its
learning are in it. Every arm gets the same frozen rollouts, as many tokens; an arm and GRPO take turns, and each ratio
is of two neighbouring runs. `shared` and `separate` are held against GRPO with all weights, `adapter` against GRPO with
the same LoRA. `separate` has a backbone of the policy's size. Peak memory is that of a fresh process for each arm over
two updates. The policy's learning rate is 0, so that all runs start from the same weights. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlkit.terminal import note, say
from rlkit.trainers.stack import quiet_libraries
from update.rollouts import Size

SIZES = {"135m": Size(20, 4, 2, 32, 96), "tiny": Size(80, 16, 8, 24, 96), "toy": Size(8, 4, 2, 8, 16)}
ARMS = {"shared": "grpo", "separate": "grpo", "adapter": "grpo_lora"}
"""Kind of critic -> the arm it is held against."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print a table and write it where asked to."""
    args = build_parser().parse_args(words)
    args.model = "toy" if args.quick else args.model
    args.size, args.repeats = SIZES[args.model], 1 if args.quick else args.repeats
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        if args.peak_of is not None:
            say(json.dumps(measure_peak(args, Path(folder))))
            return 0
        rows = measure(args, Path(folder))
    from cost.tables import describe_machine

    result = {"date": time.strftime("%Y-%m-%d"), "machine": describe_machine(), "settings": vars(args.size)}
    result |= {"model": args.model, "epochs": args.epochs, "arms": rows}
    say("\n".join(tabulate(rows)))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")
        note(f"Wrote {args.json}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", choices=("tiny", "135m"), default="135m", help="bundled countdown-tiny, or SmolLM2-135M's shape")
    add("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="kinds of critic (default: all)")
    add("--epochs", type=int, default=1, help="passes of the critic over a batch (%(default)s)")
    add("--repeats", type=int, default=3, help="pairs of runs an arm (%(default)s)")
    add("--json", type=Path, metavar="FILE", help="also write what was measured as JSON")
    add("--quick", action="store_true", help="a toy model, only to see that everything runs")
    add("--peak-of", choices=(*ARMS, *ARMS.values()), help=argparse.SUPPRESS)
    return parser


def measure(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Return a row an arm: seconds, ratio, share of tokens without signal for the policy, peak memory."""
    from update.memory import measure_apart
    from update.policies import locate_policy

    policy, rows = locate_policy(args.model, folder), []
    for arm in args.arms:
        pairs = time_pairs(args, arm, policy, folder)
        ratios = [ours[0] / theirs[0] for theirs, ours in pairs]
        words = ["--quick"] if args.quick else ["--model", args.model]
        words += ["--epochs", str(args.epochs)]
        theirs, ours = (
            measure_apart(["--peak-of", name, *words], Path(__file__))["peak_mib"] for name in (ARMS[arm], arm)
        )
        rows.append(
            {
                "arm": arm,
                "against": ARMS[arm],
                "grpo_s": statistics.median(theirs[0] for theirs, _ in pairs),
                "ppo_s": statistics.median(ours[0] for _, ours in pairs),
                "ratio": {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)},
                "cpu_ratio": statistics.median(ours[1] / theirs[1] for theirs, ours in pairs),
                "grpo_peak_mib": theirs,
                "ppo_peak_mib": ours,
            }
        )
        note(f"{arm}: {rows[-1]['ratio']['median']:.2f} times the seconds, {ours / theirs:.2f} times the peak memory")
    return rows


def time_pairs(args: argparse.Namespace, arm: str, policy: str, folder: Path) -> list[list[tuple[float, float]]]:
    """Return for each repeat the seconds and CPU seconds of GRPO's update and of the arm's, run one after the other."""
    from update.measured import run_update

    trainers = [build(args, name, policy, folder) for name in (ARMS[arm], arm)]
    given = draw(args, trainers[0])
    for trainer in trainers:
        run_update(trainer, given)
    pairs = []
    for _ in range(args.repeats):
        found = [run_update(trainer, given) for trainer in trainers]
        pairs.append([(update.seconds, update.cpu_seconds) for update in found])
    return pairs


def measure_peak(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Return the memory that one arm takes for its update in this process."""
    from update.measured import run_update
    from update.memory import read_held, read_peak
    from update.policies import locate_policy

    trainer = build(args, args.peak_of, locate_policy(args.model, folder), folder)
    given = draw(args, trainer)
    run_update(trainer, given)
    gc.collect()
    held = read_held()
    run_update(trainer, given)
    return {"peak_mib": read_peak(), "held_mib": held}


def build(args: argparse.Namespace, name: str, policy: str, folder: Path) -> Any:
    """Return the trainer of an arm with a clock."""
    from peft import LoraConfig

    from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer, DiversePPOConfig, DiversePPOTrainer
    from update.measured import build_trainer
    from update.policies import load_tokenizer

    has_adapter = name in ("adapter", "grpo_lora")
    peft = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM") if has_adapter else None
    kind: tuple[Any, Any] = (DiverseGRPOTrainer, DiverseGRPOConfig)
    options: dict[str, Any] = {}
    if name in ARMS:
        kind = (DiversePPOTrainer, DiversePPOConfig)
        critic = {"kind": name, "epochs": args.epochs, "learning_rate": 1e-5}
        options["critic"] = critic | ({"path": policy} if name == "separate" else {})
    return build_trainer(name, policy, load_tokenizer(policy), args.size, options, folder, kind, peft)


def draw(args: argparse.Namespace, trainer: Any) -> Any:
    """Return rollouts of spread lengths, half of them right in every group."""
    from update.rollouts import draw_rollouts, give_rewards

    tokenizer = trainer.processing_class
    drawn = draw_rollouts("spread", args.size, len(tokenizer), {*tokenizer.all_special_ids}, seed=0)
    return give_rewards(drawn, 0.0, args.size.num_generations, 0)


def tabulate(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table as lines of Markdown."""
    titles = ("critic", "held against", "GRPO, s", "PPO, s", "ratio", "range", "by CPU time", "GRPO, MiB", "PPO, MiB")
    lines = [f"| {' | '.join([*titles, 'peak ratio'])} |", "|" + "---|" * (len(titles) + 1)]
    for row in rows:
        ratio, theirs, ours = row["ratio"], row["grpo_peak_mib"], row["ppo_peak_mib"]
        cells = [row["arm"], row["against"], f"{row['grpo_s']:.2f}", f"{row['ppo_s']:.2f}", f"{ratio['median']:.2f}"]
        cells += [f"{ratio['lowest']:.2f} to {ratio['highest']:.2f}", f"{row['cpu_ratio']:.2f}"]
        cells += [f"{theirs:,.0f}", f"{ours:,.0f}", f"{ours / theirs:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
