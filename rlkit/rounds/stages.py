"""The stages of rounds, each an `rlkit` command in a process of its own that goes on where it was killed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.files import write_text
from rlkit.recipe.rounds import RoundsRecipe
from rlkit.recipe.yaml_text import format_yaml
from rlkit.runs import RunDirectory
from rlkit.tasks import resolve_task
from rlkit.tasks.rows import load_rows
from rlkit.workers.lanes import Stage, count_lines, run_lanes


def evaluate_base(recipe: RoundsRecipe) -> None:
    """Evaluate the base on the held-out problems; reuses what is there."""
    _sample(recipe, "base: evaluating", recipe.model, Path(recipe.folder) / "base" / "eval", recipe.evaluation())


def draw(recipe: RoundsRecipe, number: int) -> Path:
    """Draw a round's samples of the training problems; returns their directory."""
    output = Path(recipe.folder) / f"round-{number}" / "draws"
    _sample(recipe, f"round {number}: drawing", recipe.sampler(number), output, recipe.draw(number))
    return output


def fine_tune(recipe: RoundsRecipe, number: int) -> None:
    """Fine-tune on the archive of a round."""
    sft = recipe.fine_tuning(number)
    path = Path(recipe.folder) / f"round-{number}" / "sft.yaml"
    write_text(path, format_yaml(sft.to_mapping()))
    _run(recipe, f"round {number}: fine-tuning", ["sft", str(path)], 100, lambda: _percent(sft.output), "%")


def evaluate(recipe: RoundsRecipe, number: int) -> Path:
    """Evaluate a round's model on the held-out problems; returns its run directory."""
    directory = Path(recipe.folder) / f"round-{number}" / "sft"
    options = {**recipe.evaluation(), "name": f"round-{number}"}
    _sample(recipe, f"round {number}: evaluating", str(directory / "model"), directory / "eval", options)
    return directory


def report(recipe: RoundsRecipe, numbers: Sequence[int]) -> None:
    """Write the report of all rounds against the base."""
    output = Path(recipe.folder)
    directories = [str(output / "base"), *(str(output / f"round-{each}" / "sft") for each in numbers)]
    page = output / "report.html"
    _run(recipe, "report", ["report", *directories, "--output", str(page)], 1, lambda: int(page.exists()), "pages")


def eval_words(options: Mapping[str, Any]) -> list[str]:
    """Return options of `rlkit eval` as words."""
    words = []
    for key, value in options.items():
        if isinstance(value, list):
            value = ",".join(f"{each:g}" for each in value)
        words += [f"--{key.replace('_', '-')}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return words


def sample_files(output: Path, temperature: Any) -> list[Path]:
    """Return the files that `rlkit eval` writes samples to, one a temperature."""
    if not isinstance(temperature, list) or len(temperature) == 1:
        return [output / "samples.jsonl"]
    return [output / f"t{each:g}" / "samples.jsonl" for each in temperature]


def _sample(recipe: RoundsRecipe, title: str, model: str, output: Path, options: Mapping[str, Any]) -> None:
    files = sample_files(output, options["temperature"])
    problems = load_rows(resolve_task(recipe.task), options["split"])[: options.get("limit")]
    words = ["eval", "--model", model, "--output", str(output), *eval_words(options)]
    total = options["n"] * len(problems) * len(files)
    _run(recipe, title, words, total, lambda: sum(map(count_lines, files)), "samples")


def _percent(output: str) -> int:
    try:
        state = RunDirectory(output).read_state()
    except StoreError:
        return 0
    return int(100 * state.get("step", 0) / (state.get("max_steps") or 1)) if "max_steps" in state else 0


_PARTS = (50, 40, 10)
"""Of a round's time, in percent: drawing, fine-tuning, evaluating; roughly."""


def percent_done(recipe: RoundsRecipe) -> int:
    """Return how far a run in rounds is, in percent of all rounds, by the files that its stages write."""
    done, draw, evaluation = 0.0, recipe.draw(1), recipe.evaluation()
    for number in range(1, recipe.rounds + 1):
        folder = Path(recipe.folder) / f"round-{number}"
        shares = (
            _share_drawn(folder / "draws", draw),
            _percent(str(folder / "sft")) / 100,
            _share_drawn(folder / "sft" / "eval", evaluation),
        )
        done += sum(part * share for part, share in zip(_PARTS, shares, strict=True))
    return int(done / recipe.rounds)


def _share_drawn(output: Path, options: Mapping[str, Any]) -> float:
    files = sample_files(output, options["temperature"])
    if any((file.parent / "report.json").exists() for file in files[-1:]):
        return 1.0
    # Without a limit only the task knows how many there are, and making its problems takes a while.
    expected = options["n"] * (options.get("limit") or 10**6) * len(files)
    return min(1.0, sum(map(count_lines, files)) / expected)


def _run(recipe: RoundsRecipe, title: str, words: Sequence[str], total: int, count_done: Any, unit: str) -> None:
    log = Path(recipe.folder) / "logs" / f"{title.replace(': ', '-').replace(' ', '-')}.txt"
    command = [sys.executable, "-m", "rlkit", *words]
    run_lanes([[Stage(title, command, log, total, count_done, unit)]], 1, os.cpu_count() or 1)
