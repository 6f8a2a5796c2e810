"""Train arms on equal numbers of drawn samples and hold each against the base's front over temperature.

    python benchmarks/archive_fronts.py --output runs/fronts                        # 30,720 samples an arm, three seeds
    python benchmarks/archive_fronts.py --output runs/fronts4 --times 4 --seeds 0   # 122,880 samples an arm
    python benchmarks/archive_fronts.py --output runs/fronts --arms grpo distinct --seeds 0 --problems 60 --samples 16
    python benchmarks/archive_fronts.py --task paths --output runs/paths/fronts     # another task

Every arm may draw 30,720 samples of Countdown's training problems, or `--times` as many: on the policy's side as 60
steps of 512, from the base as 16 of each of 1,920 problems, or half of each. With more samples fine-tuning takes 4
epochs instead of 6. The second task, shortest paths on a grid, has 15,360 samples and
the arms `grpo`, `as_drawn`, `distinct`; its base is made first (benchmarks/paths/base_sft.yaml). All are evaluated on
the same held-out problems at two temperatures, the base at eight. Printed for each arm, seed and temperature: the
difference to the base sampled so that its pass@1 is the same, in pass@k and in coverage of the solution set, with 95 %
intervals paired by problem. What is finished is reused, so a call that was broken off goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.evaluation.comparing.front import compare_with_front
from rlkit.evaluation.comparing.margins import read_margins
from rlkit.evaluation.comparing.models import find_evaluations, read_model
from rlkit.terminal import note, say
from rlkit.workers.lanes import Stage, count_lines, run_lanes

BASE_TEMPERATURES, ARM_TEMPERATURES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0), (0.6, 1.0)
SAMPLES_A_PROBLEM, NUM_STEPS = 16, 60
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Bench:
    """A task, and what its arms are made from."""

    model: str
    task: str
    """Training problems, as `rlkit eval` takes a task."""
    held_out: str
    """The same for the held-out ones, `{problems}` of them."""
    recipes: str
    """Where a recipe of a name is."""
    num_problems: int
    """Training problems of a round of draws; 16 samples of each are as many as the 60 steps of an on-policy arm."""
    max_tokens: int
    arms: tuple[str, ...] | None = None
    """None takes all."""


_PATHS = f"{HERE}/paths/shortest_paths.py:ShortestPaths"
BENCHES = {
    "countdown": Bench(
        "countdown-tiny", "countdown", "{{name: countdown, test_size: {problems}}}", "countdown/{name}", 1920, 16
    ),
    "paths": Bench(
        "runs/paths/base/run/model",
        _PATHS,
        _PATHS,
        f"{HERE}/paths/{{name}}.yaml",
        960,
        20,
        ("grpo", "as_drawn", "distinct"),
    ),
}
HALF_ROWS = ("archive.rows_per_step=193",)
"""Of an arm that takes half of its samples from the base: each solution three times in 30 steps."""
SLOWER = "train.learning_rate=2e-4"
"""Half of the recipes' learning rate."""

TRAINED: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "grpo": ("grpo", False, ()),
    "darling_kl": ("darling_kl", False, ()),
    "archive_grpo": ("archive_grpo", True, HALF_ROWS),
    "archive_w_reinforce": ("archive_w_reinforce", True, HALF_ROWS),
    "archive_kl": ("archive_kl", True, HALF_ROWS),
    "archive_grpo_lagging": ("archive_grpo", True, (*HALF_ROWS, "sampler={every: 10}")),
    "archive_w_reinforce_lagging": ("archive_w_reinforce", True, (*HALF_ROWS, "sampler={every: 10}")),
    "archive_kl_lagging": ("archive_kl", True, (*HALF_ROWS, "sampler={every: 10}")),
    "grpo_lagging": ("grpo", False, ("sampler={every: 10}",)),
    "grpo_slower": ("grpo", False, (SLOWER,)),
    **{name: (name, False, ()) for name in ("ppo", "ppo_darling", "ppo_kl")},
    **{f"{name}_slower": (name, False, (SLOWER,)) for name in ("ppo", "ppo_darling", "ppo_kl")},
}
"""Arms trained on-policy: recipe, whether it has an archive of half of the samples, and what is set."""
TUNED = {"as_drawn": "as_drawn", "distinct": "equal"}
"""Arms fine-tuned on what the base drew, and the weights of the archive."""

ROUNDS = {"rounds": "last", "rounds_base_draws": "base"}
"""Arms of three rounds of 5 samples a problem, and who draws after the first."""


def main(words: Sequence[str] | None = None) -> int:
    """Train and evaluate what is missing, then print and write the table."""
    args = read_arguments(words)
    lanes = [[evaluation(args, args.output / "base", args.bench.model, BASE_TEMPERATURES)]]
    lanes += [draw(args, seed) + tune(args, seed) for seed in args.seeds]
    lanes += [
        train(args, arm, seed) for seed in args.seeds for arm in args.arms if arm in TRAINED and not TRAINED[arm][1]
    ]
    lanes += [go_round(args, arm, seed) for seed in args.seeds for arm in args.arms if arm in ROUNDS]
    run(args, lanes)
    # These read what the first ones drew.
    run(
        args, [train(args, arm, seed) for seed in args.seeds for arm in args.arms if arm in TRAINED and TRAINED[arm][1]]
    )
    rows = [row for arm in args.arms for seed in args.seeds for row in compare(args, arm, seed)]
    (args.output / "fronts.json").write_text(json.dumps(rows, indent=1) + "\n")
    say("\n".join(tabulate(rows)))
    return 0


def read_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for, with the bench of the task as `bench`."""
    parser = build_parser()
    args = parser.parse_args(words)
    args.bench = BENCHES[args.task]
    known = args.bench.arms or (*TRAINED, *TUNED, *ROUNDS)
    args.arms = args.arms or [*known]
    if strange := [arm for arm in args.arms if arm not in known]:
        parser.error(f"--task {args.task} has no arm {strange[0]}; it has {', '.join(known)}.")
    return args


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="where everything goes")
    arms = [*TRAINED, *TUNED, *ROUNDS]
    parser.add_argument("--task", choices=BENCHES, default="countdown", help="which task (%(default)s)")
    parser.add_argument("--arms", nargs="+", choices=arms, metavar="ARM", help=", ".join(arms))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of training and of drawing (0 1 2)")
    parser.add_argument("--times", type=int, default=1, help="how many times 30,720 samples an arm draws (%(default)s)")
    parser.add_argument("--problems", type=int, default=600, help="held-out problems (%(default)s)")
    parser.add_argument("--samples", type=int, default=64, help="of each at each temperature (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="commands that run at once (%(default)s)")
    return parser


def run(args: argparse.Namespace, lanes: Sequence[Sequence[Stage | None]]) -> None:
    """Run the stages that are not done."""
    todo = [[stage for stage in lane if stage is not None] for lane in lanes]
    if any(todo):
        run_lanes([lane for lane in todo if lane], args.workers, 1)


def evaluation(args: argparse.Namespace, folder: Path, model: str, temperatures: Sequence[float]) -> Stage | None:
    """Return the evaluation of a model on held-out problems; None where it is done."""
    task, limit = args.bench.held_out.format(problems=args.problems), str(args.problems)
    words = ["eval", "--model", model, "--task", task, "--limit", limit, "--n", str(args.samples)]
    words += ["--max-tokens", str(args.bench.max_tokens)]
    words += ["--temperature", ",".join(f"{each:g}" for each in temperatures), "--output", str(folder / "eval")]
    if len([*(folder / "eval").glob("t*/report.json")]) == len(temperatures):
        return None
    files = [folder / "eval" / f"t{each:g}" / "samples.jsonl" for each in temperatures]
    total = args.problems * args.samples * len(files)
    return stage(folder, "evaluating", words, total, lambda: sum(map(count_lines, files)), "samples")


def draw(args: argparse.Namespace, seed: int) -> list[Stage | None]:
    """Return what draws the base's samples of training problems, all of them and half, and keeps what is distinct."""
    stages: list[Stage | None] = []
    for name, share in (("all", 1), ("half", 2)):
        problems = args.bench.num_problems // share
        folder = args.output / f"draws-{name}" / f"s{seed}"
        if (folder / "found.jsonl").exists() or (name == "half" and not any(map(has_archive, args.arms))):
            continue
        words = ["eval", "--model", args.bench.model, "--task", args.bench.task, "--split", "train"]
        words += ["--limit", str(problems), "--n", str(SAMPLES_A_PROBLEM * args.times), "--seed", str(seed)]
        words += ["--max-tokens", str(args.bench.max_tokens), "--output", str(folder / "drawn")]
        samples = folder / "drawn" / "samples.jsonl"
        stages.append(
            stage(folder, "drawing", words, problems * SAMPLES_A_PROBLEM * args.times, counter(samples), "samples")
        )
        collect = ["archive", "collect", str(folder / "found.jsonl"), str(folder / "drawn"), "--task", args.bench.task]
        stages.append(stage(folder, "collecting", collect, 1, lambda: 0, "archives"))
    return stages


def tune(args: argparse.Namespace, seed: int) -> list[Stage | None]:
    """Return the fine-tunings on what the base drew, each with its evaluation."""
    stages: list[Stage | None] = []
    for arm in (arm for arm in args.arms if arm in TUNED):
        folder = args.output / arm / f"s{seed}"
        found = args.output / "draws-all" / f"s{seed}" / "found.jsonl"
        settings = [f"output={folder}", f"data={{name: archive, path: {found}, weights: {TUNED[arm]}}}"]
        settings += [f"train.seed={seed}", "evaluate=null"]
        settings += ["train.num_train_epochs=4"] if args.times > 1 else []
        stages += [
            training(folder, "sft", name_recipe(args, "sft_distinct"), settings, 90),
            arm_evaluation(args, folder),
        ]
    return stages


def train(args: argparse.Namespace, arm: str, seed: int) -> list[Stage | None]:
    """Return an arm's training with its evaluation."""
    recipe, is_beside, settings = TRAINED[arm]
    folder = args.output / arm / f"s{seed}"
    found = args.output / "draws-half" / f"s{seed}" / "found.jsonl"
    more = [f"archive.from=[{found}]"] if is_beside else []
    steps = (NUM_STEPS // 2 if is_beside else NUM_STEPS) * args.times
    values = [f"output={folder}", f"train.seed={seed}", f"train.max_steps={steps}", *settings, *more]
    return [training(folder, "train", name_recipe(args, recipe), values, steps), arm_evaluation(args, folder)]


def has_archive(arm: str) -> bool:
    """Return whether an arm is trained on-policy with an archive of half of the samples."""
    return arm in TRAINED and TRAINED[arm][1]


def go_round(args: argparse.Namespace, arm: str, seed: int) -> list[Stage | None]:
    """Return three rounds with the evaluation of what comes out."""
    folder = args.output / arm / f"s{seed}"
    settings = [
        f"output={folder}",
        f"samples={5 * args.times}",
        f"sampling={{max_tokens: 16, seed: {100 * seed}}}",
        "stop=false",
    ]
    settings += [f"draw_from={ROUNDS[arm]}", f"sft.train.seed={seed}", "held_out={n: 4, limit: 50}"]
    return [training(folder, "train", name_recipe(args, "rounds"), settings, 3), arm_evaluation(args, folder)]


def name_recipe(args: argparse.Namespace, name: str) -> str:
    """Return a recipe of the task as a command takes it."""
    return str(args.bench.recipes.format(name=name))


def arm_evaluation(args: argparse.Namespace, folder: Path) -> Stage | None:
    """Return the evaluation of a trained arm; None where it is done."""
    return evaluation(args, folder, str(folder / "model"), ARM_TEMPERATURES)


def training(folder: Path, command: str, recipe: str, settings: Sequence[str], total: int) -> Stage | None:
    """Return a training; None where it is done."""
    if (folder / "model" / "config.json").exists():
        return None
    words = [command, recipe, *(word for setting in settings for word in ("--set", setting))]
    return stage(folder, "training", words, total, counter(folder / "train_log.jsonl"), "steps")


def stage(folder: Path, doing: str, words: Sequence[str], total: int, count: Any, unit: str) -> Stage:
    """Return a command of rlkit as a stage."""
    name = f"{folder.parent.name} {folder.name}" if folder.name.startswith("s") else folder.name
    log = folder.parent / f"{folder.name}.{doing}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    return Stage(f"{name}: {doing}", [sys.executable, "-m", "rlkit", *words], log, total, count, unit)


def counter(path: Path) -> Any:
    """Return what counts the lines of a file."""
    return lambda: count_lines(path)


def compare(args: argparse.Namespace, arm: str, seed: int) -> list[dict[str, Any]]:
    """Return an arm's differences to the base's front, one dict a temperature."""
    base, folder = read_model(args.output / "base"), args.output / arm / f"s{seed}"
    assert find_evaluations(folder)
    k = args.samples // 4
    points = compare_with_front(base, read_model(folder), k, "solution_coverage", read_margins(None), 0.95, 0)
    rows = []
    for point in points:
        row: dict[str, Any] = {"arm": arm, "seed": seed, "temperature": point.temperature}
        row |= {"base_temperature": point.base_temperature, "share_unreached": point.share_unreached}
        for name, question in point.questions.items():
            row[name] = question.as_json()
        rows.append(row)
    note(f"Compared {arm} of seed {seed}.")
    return rows


def tabulate(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table as lines of Markdown."""
    lines = [
        "| arm | seed | T | pass@1 | base at T | pass@k, difference | coverage, relative difference |",
        "|" + "---|" * 7,
    ]
    for row in rows:
        base = "not reached" if row["base_temperature"] is None else f"{row['base_temperature']:.2f}"
        cells = [row["arm"], str(row["seed"]), f"{row['temperature']:g}", f"{row['pass@1']['run']:.3f}", base]
        cells += [show(row["pass@k"]), show(row["diversity"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def show(question: dict[str, Any]) -> str:
    """Return a difference with its interval."""
    value, low, high = (question[name] for name in ("change", "low", "high"))
    return " ".join(["none" if value is None else f"{value:+.3f}", f"[{bound(low)}, {bound(high)}]"])


def bound(value: float | None) -> str:
    """Return an end of an interval; None is open."""
    return "open" if value is None else f"{value:+.3f}"


if __name__ == "__main__":
    sys.exit(main())
