"""A run in rounds, from first check to report; every stage can be killed and goes on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.collecting import collect_solutions
from rlkit.evaluation.comparing.comparison import compare_runs
from rlkit.evaluation.comparing.models import read_model
from rlkit.files import locked, read_json, write_json, write_text
from rlkit.recipe import build_recipe, differences
from rlkit.recipe.rounds import RoundsRecipe
from rlkit.recipe.yaml_text import format_yaml, parse_yaml
from rlkit.rounds import stages
from rlkit.terminal import note
from rlkit.trainers.claiming import RunOutcome

_STAMP = "rounds.json"
_OURS = ("recipe.yaml", _STAMP, "report.*", "*.txt", "base", "model", "model.part", "round-*")


def check_rounds(recipe: RoundsRecipe) -> str | None:
    """Check all of a recipe that can be known without its model's weights, the fine-tuning too.

    Returns:
        What could not be tried, as a sentence.

    Raises:
        RlkitError: naming what would stop the run.
    """
    from rlkit.evaluation.request import EvaluationRequest
    from rlkit.trainers.sft.run import try_sft

    drawn = recipe.draw(1)
    more = {key: drawn[key] for key in ("split", "limit", "engine") if key in drawn}
    for temperature in recipe.temperature:
        sampling = {**recipe.sampling, "temperature": temperature}
        EvaluationRequest(recipe.model, recipe.task, recipe.samples, "draws", sampling=sampling, **more)
    return try_sft(recipe.fine_tuning(1))


def run_rounds(recipe: RoundsRecipe, *, overwrite: bool = False) -> RunOutcome:
    """Run all rounds, or go on where the output directory stopped.

    Returns:
        Its `step` is the number of rounds done.

    Raises:
        RlkitError: a stage failed, or the directory holds something else.
        KeyboardInterrupt: broken off; the same command goes on.
    """
    output = Path(recipe.output).expanduser()
    check_rounds(recipe)
    output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        if overwrite:
            _clear(output)
        _claim(output, recipe)
        state: dict[str, Any] = {"rounds": [], "finished": False}
        if (output / _STAMP).is_file():
            state = read_json(output / _STAMP)
        if state["finished"]:
            return RunOutcome("already finished", len(state["rounds"]) - 1, recipe.output)
        return _go_on(recipe, output, state)


def _go_on(recipe: RoundsRecipe, output: Path, state: dict[str, Any]) -> RunOutcome:
    done: list[dict[str, Any]] = state["rounds"]
    if not done:
        stages.evaluate_base(recipe)
        done.append({"round": 0, **_measure(output / "base", recipe)})
        write_json(output / _STAMP, state)
    while len(done) <= recipe.rounds and not done[-1].get("stopped"):
        number = len(done)
        done.append(_run_round(recipe, output, number))
        write_json(output / _STAMP, state)
        note(_describe(done[-1]))
    last = len(done) - 1
    _keep_model(output, output / f"round-{last}" / "sft" / "model")
    stages.report(recipe, range(1, last + 1))
    write_json(output / _STAMP, state | {"finished": True})
    return RunOutcome("finished", last, recipe.output)


def _run_round(recipe: RoundsRecipe, output: Path, number: int) -> dict[str, Any]:
    draws = stages.draw(recipe, number)
    # An archive a round: what this round's fine-tuning reads does not change when a later round finds more.
    path = output / f"round-{number}" / "archive.jsonl"
    if number > 1 and not path.exists():
        part = path.with_suffix(".part")
        shutil.copyfile(output / f"round-{number - 1}" / "archive.jsonl", part)
        os.replace(part, path)
    held_out = [(recipe.task, str(recipe.evaluation()["split"]))]
    archive, found = collect_solutions(
        path, [draws], task=recipe.task, partition=recipe.partition, held_out=held_out, round=number
    )
    stages.fine_tune(recipe, number)
    before = output / "base" if number == 1 else output / f"round-{number - 1}" / "sft"
    here = output / f"round-{number}" / "sft"
    changes = _compare(before, here, recipe)
    entry: dict[str, Any] = {"round": number, "samples": found.num_samples, "correct": found.num_correct}
    entry |= {"solutions": archive.num_solutions, **_measure(here, recipe), "changes": changes}
    has_risen = any(change["low"] is not None and change["low"] > 0 for change in changes.values())
    return entry | {"stopped": recipe.stop and not has_risen}


def _compare(before: Path, here: Path, recipe: RoundsRecipe) -> dict[str, dict[str, Any]]:
    """Return the change of pass@n and coverage with its paired 95 % interval."""
    n = recipe.evaluation()["n"]
    found = compare_runs(read_model(before).main(), read_model(here).main(), ks=[1, n])
    cells = {f"pass@{n}": found["pass_at_k"][str(n)], "solution_coverage": found["metrics"]["solution_coverage"]}
    return {name: {key: cell[key] for key in ("difference", "low", "high")} for name, cell in cells.items()}


def _measure(directory: Path, recipe: RoundsRecipe) -> dict[str, Any]:
    n = recipe.evaluation()["n"]
    report = read_model(directory).main()
    found = compare_runs(report, report, ks=[1, n])
    values = {f"pass@{k}": found["pass_at_k"][str(k)]["a"] for k in (1, n)}
    return values | {"solution_coverage": found["metrics"]["solution_coverage"]["a"]}


def _describe(entry: dict[str, Any]) -> str:
    measured = ", ".join(
        f"{name} {value:.3f}" for name, value in entry.items() if isinstance(value, float) and value == value
    )
    ends = " Neither rose beyond its interval, so this is the last round." if entry["stopped"] else ""
    return f"Round {entry['round']}: {entry['solutions']:,} solutions so far; {measured}.{ends}"


def _keep_model(output: Path, model: Path) -> None:
    part = output / "model.part"
    for old in (part, output / "model"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(model, part)
    os.replace(part, output / "model")


def _claim(output: Path, recipe: RoundsRecipe) -> None:
    path = output / "recipe.yaml"
    if path.is_file():
        there = build_recipe(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
        if there.kind != "rounds" or (found := differences(recipe, there)):
            why = "of another kind" if there.kind != "rounds" else f"where {'; '.join(found)}"
            raise StoreError(f"{output} holds a run {why}; choose another output, or give --overwrite.")
        return
    write_text(path, format_yaml(recipe.to_mapping()))


def _clear(output: Path) -> None:
    for pattern in _OURS:
        for path in output.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
