"""The stages of rounds, each an `rlkit` command in a process of its own that goes on where it was killed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.files import write_text
from rlkit.recipe.rounds import RoundsRecipe
from rlkit.recipe.yaml_text import format_yaml
from rlkit.workers.lanes import Stage, count_lines, run_lanes


def evaluate_base(recipe: RoundsRecipe) -> None:
    """Evaluate the base on the held-out problems; reuses what is there."""
    output = Path(recipe.folder) / "base" / "eval"
    options = recipe.evaluation()
    words = ["eval", "--model", recipe.model, "--output", str(output), *eval_words(options)]
    _run(_samples_stage(Path(recipe.folder), "base: evaluating", words, options, [output / "samples.jsonl"]))


def draw(recipe: RoundsRecipe, number: int) -> Path:
    """Draw a round's samples of the training problems; returns their directory."""
    output = Path(recipe.folder) / f"round-{number}" / "draws"
    options = recipe.draw(number)
    words = ["eval", "--model", recipe.sampler(number), "--output", str(output), *eval_words(options)]
    several = [output / f"t{each:g}" / "samples.jsonl" for each in recipe.temperature]
    samples = several if len(several) > 1 else [output / "samples.jsonl"]
    _run(_samples_stage(Path(recipe.folder), f"round {number}: drawing", words, options, samples))
    return output


def fine_tune(recipe: RoundsRecipe, number: int) -> None:
    """Fine-tune on the archive of a round, and evaluate."""
    sft = recipe.fine_tuning(number)
    path = Path(recipe.folder) / f"round-{number}" / "sft.yaml"
    write_text(path, format_yaml(sft.to_mapping()))
    options = recipe.evaluation()
    samples = [Path(sft.output) / "eval" / "samples.jsonl"]
    words = ["train", str(path)]
    _run(_samples_stage(Path(recipe.folder), f"round {number}: fine-tuning and evaluating", words, options, samples))


def report(recipe: RoundsRecipe, numbers: Sequence[int]) -> None:
    """Write the report of all rounds against the base."""
    output = Path(recipe.folder)
    directories = [str(output / "base"), *(str(output / f"round-{each}" / "sft") for each in numbers)]
    words = ["report", *directories, "--output", str(output / "report.html")]
    _run(Stage("report", _command(words), output / "report.txt", 1, lambda: 0, "pages"))


def eval_words(options: Mapping[str, Any]) -> list[str]:
    """Return options of `rlkit eval` as words."""
    words = []
    for key, value in options.items():
        if isinstance(value, list):
            value = ",".join(f"{each:g}" for each in value)
        words += [f"--{key.replace('_', '-')}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return words


def _samples_stage(
    log_in: Path, title: str, words: list[str], options: Mapping[str, Any], samples: Sequence[Path]
) -> Stage:
    log = log_in / f"{title.replace(': ', '.').replace(' ', '_')}.txt"
    temperatures = options["temperature"]
    several = len(temperatures) if isinstance(temperatures, list) else 1
    total = options["n"] * options.get("limit", 0) * several
    return Stage(title, _command(words), log, total, lambda: sum(map(count_lines, samples)), "samples")


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "rlkit", *words]


def _run(stage: Stage) -> None:
    run_lanes([[stage]], 1, os.cpu_count() or 1)
