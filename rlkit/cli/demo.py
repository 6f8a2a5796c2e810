"""`rlkit demo`: train the bundled model with and without methods that keep diversity, and show the difference."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, StoreError, suggest
from rlkit.files import write_json
from rlkit.terminal import note

_DESCRIPTION = """\
Train the bundled tiny Countdown model with plain GRPO and with methods that keep diversity, all on as many samples,
evaluate each at two temperatures and the base model at six, and write one report. A second call reuses what is
finished.

  rlkit demo
  rlkit demo --arms grpo darling --output runs/small-demo
"""

ARMS = ("grpo", "darling_kl", "w_reinforce_kl", "distinct")
"""Shipped recipes `countdown/<arm>` that the demo trains; the last one is what we recommend."""

BASE_TEMPERATURES, ARM_TEMPERATURES = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0), (0.6, 1.0)
"""Lowering the temperature raises pass@1 without training, so the arms are compared with the base at its own."""

_MODEL = "countdown-tiny"
_STAMP = "demo.json"


@dataclass(frozen=True)
class _Evaluation:
    """How every model of the demo is evaluated."""

    task: str
    split: str
    num_samples: int
    num_problems: int

    def words(self, model: str, temperatures: Sequence[float], output: Path) -> list[str]:
        """Return the `rlkit eval` command of one model."""
        return [
            *(sys.executable, "-m", "rlkit", "eval", "--model", model, "--task", self.task, "--split", self.split),
            *("--n", str(self.num_samples), "--limit", str(self.num_problems), "--output", str(output)),
            *("--temperature", ",".join(f"{each:g}" for each in temperatures)),
        ]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `demo` to the commands."""
    parser = subparsers.add_parser(
        "demo",
        help="train, evaluate and compare on the bundled model",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="where everything goes (%(default)s)")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), metavar="ARM", help="countdown recipes to train")
    parser.add_argument("--n", type=int, default=64, help="samples a problem and temperature (%(default)s)")
    parser.add_argument("--problems", type=int, default=200, help="held-out problems (%(default)s)")
    parser.add_argument("--workers", type=int, help="how many arms run at once; by default one a core, four at most")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change every arm's recipe"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit demo`."""
    from rlkit.workers.lanes import run_lanes

    _check(args)
    evaluation = _Evaluation("countdown", "test", args.n, args.problems)
    lanes = [_base_lane(args.output, evaluation)]
    lanes += [_arm_lane(arm, args, evaluation) for arm in args.arms]
    todo = [lane for lane in lanes if lane.stages]
    cores = os.cpu_count() or 1
    workers = args.workers or max(1, min(cores, len(todo), 4))
    if todo:
        note(
            f"The demo trains and evaluates in {args.output}; "
            f"{len(lanes) - len(todo)} of {len(lanes)} parts are there already."
        )
    run_lanes([lane.stages for lane in todo], workers, max(1, cores // workers))
    for lane in lanes:
        lane.stamp()
    return _report(args.output, [lane.name for lane in lanes])


def _check(args: argparse.Namespace) -> None:
    from rlkit.recipe import load_recipe, shipped_recipes

    for option in ("n", "problems"):
        if getattr(args, option) < 1:
            raise ConfigError(f"--{option} was given as {getattr(args, option)}; write a number of at least 1.")
    if args.workers is not None and args.workers < 1:
        raise ConfigError(f"--workers was given as {args.workers}; write a number of at least 1.")
    known = [name.removeprefix("countdown/") for name in shipped_recipes() if name.startswith("countdown/")]
    for arm in args.arms:
        if arm not in known:
            raise ConfigError(f"There is no recipe countdown/{arm} to demonstrate.{suggest(arm, known)}")
        if (kind := load_recipe(f"countdown/{arm}").kind) not in ("rl", "rounds"):
            raise ConfigError(
                f"countdown/{arm} is a recipe of kind {kind}, which learns from files; the demo trains kinds rl "
                "and rounds."
            )


@dataclass(frozen=True)
class _Lane:
    """The stages still to do for one model, and the stamp that says what was done."""

    name: str
    directory: Path
    content: dict[str, Any]
    stages: list[Any]

    def stamp(self) -> None:
        """Record what this directory now holds, so that the next call need not do it again."""
        write_json(self.directory / _STAMP, self.content)


def _is_done(directory: Path, content: dict[str, Any]) -> bool:
    from rlkit.evaluation.comparing.models import find_evaluations

    if (directory / "eval" / "config.json").is_file():
        raise StoreError(
            f"{directory} is of an earlier demo, which sampled at one temperature; delete it, or give another --output."
        )
    stamp = directory / _STAMP
    try:
        return json.loads(stamp.read_text()) == content and bool(find_evaluations(directory))
    except (OSError, ValueError):
        return False


def _base_lane(output: Path, evaluation: _Evaluation) -> _Lane:
    directory = output / "base"
    command = evaluation.words(_MODEL, BASE_TEMPERATURES, directory / "eval")
    content = {"eval": command[3:]}
    is_done = _is_done(directory, content)
    stages = [] if is_done else [_eval_stage("base", directory, command, evaluation, BASE_TEMPERATURES)]
    return _Lane("base", directory, content, stages)


def _arm_lane(arm: str, args: argparse.Namespace, evaluation: _Evaluation) -> _Lane:
    from rlkit.recipe import load_recipe
    from rlkit.workers.lanes import Stage, count_lines

    directory = args.output / arm
    given = [_set_in_rounds(word) if _is_in_rounds(arm) else word for word in args.overrides]
    overrides = [*given, f"output={json.dumps(str(directory))}"]
    recipe = load_recipe(f"countdown/{arm}", overrides)
    train = [sys.executable, "-m", "rlkit", "train", f"countdown/{arm}"]
    train += [word for override in overrides for word in ("--set", override)]
    command = evaluation.words(str(directory / "model"), ARM_TEMPERATURES, directory / "eval")
    content = {"recipe": json.loads(json.dumps(recipe.to_mapping())), "eval": command[3:]}
    if _is_done(directory, content):
        return _Lane(arm, directory, content, [])
    if recipe.kind == "rounds":
        from rlkit.rounds.stages import percent_done

        progress: tuple[int, Any, str] = 100, lambda: percent_done(recipe), "%"
    else:
        log = directory / "train_log.jsonl"
        progress = recipe.train["max_steps"], lambda: count_lines(log), "steps"
    training = Stage(f"{arm}: training", train, args.output / f"{arm}.train.txt", *progress)
    stages = [] if _is_trained(directory, recipe) else [training]
    stages.append(_eval_stage(arm, directory, command, evaluation, ARM_TEMPERATURES))
    return _Lane(arm, directory, content, stages)


def _is_in_rounds(arm: str) -> bool:
    from rlkit.recipe import load_recipe

    return bool(load_recipe(f"countdown/{arm}").kind == "rounds")


def _set_in_rounds(override: str) -> str:
    """Return an override of every arm as rounds have it, whose trainer's settings are those of fine-tuning."""
    return f"sft.{override}" if override.startswith("train.") else override


def _is_trained(directory: Path, recipe: Any) -> bool:
    from rlkit.runs import RunDirectory

    try:
        return RunDirectory(directory).inspect(recipe).action == "nothing"
    except StoreError as error:
        raise StoreError(f"{error} For the demo: delete {directory}, or give another --output.") from error


def _eval_stage(
    name: str, directory: Path, command: list[str], evaluation: _Evaluation, temperatures: Sequence[float]
) -> Any:
    from rlkit.workers.lanes import Stage, count_lines

    samples = [directory / "eval" / f"t{each:g}" / "samples.jsonl" for each in temperatures]
    return Stage(
        f"{name}: evaluating",
        command,
        directory.parent / f"{name}.eval.txt",
        evaluation.num_samples * evaluation.num_problems * len(samples),
        lambda: sum(map(count_lines, samples)),
        "samples",
    )


def _report(output: Path, names: list[str]) -> int:
    from rlkit.cli import main

    return main(["report", *(str(output / name) for name in names), "--output", str(output / "report.html")])
