"""From the rollouts that a training logged (`train.log_completions: true`) to an archive, as evaluations go there.

`completions/*.parquet` of a run have, beside TRL's columns, the id of the problem, whether the verifier called the
completion correct, and whether it was cut off: what was judged once is not judged again.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.archive import Archive, Finding, Source
from rlkit.diversity import Partition, resolve_partition
from rlkit.diversity.text_partition import KeyPartition
from rlkit.errors import ConfigError, StoreError
from rlkit.evaluation.collecting import (
    Collected,
    choose_partition,
    classify,
    find_solutions,
    keys_of,
    refuse_held_out,
)
from rlkit.evaluation.configuration import describe_spec, digest_of
from rlkit.plugins import find_code
from rlkit.recipe import Recipe
from rlkit.runs import RunDirectory
from rlkit.tasks import resolve_task
from rlkit.tasks.rows import load_rows
from rlkit.tasks.tables import read_file
from rlkit.types import PluginSpec, Row
from rlkit.verifiers.reasoning import USUAL_TAG

LOGGED = ("problem", "correct", "truncated")
"""Columns that a training adds to TRL's."""


def collect_rollouts(
    output: str | Path,
    directories: Sequence[str | Path],
    *,
    task: PluginSpec | None = None,
    partition: PluginSpec | None = None,
    held_out: Sequence[tuple[PluginSpec, str]] = (),
) -> tuple[Archive, Collected]:
    """Add the distinct correct solutions among logged rollouts to an archive, which is begun where there is none.

    A policy that learns from what it found itself narrows; see docs/archive.md before you feed it its own.

    Args:
        output: file of the archive.
        directories: runs of `rlkit train`.
        task: what gives the problems; None takes each run's own, unless it is code.
        partition: what tells solutions apart; None takes the archive's, else the task's own.
        held_out: further task specs and splits whose problems are refused, beside the task's `test`.

    Raises:
        ConfigError, PluginError: a spec names nothing, or its plug-in fails.
        StoreError: a directory is no run, logged no rollouts, or logged held-out problems; nothing of it is added.
    """
    done, archive = Collected(), None
    for directory in map(Path, directories):
        recipe = RunDirectory(directory).read_recipe()
        if not isinstance(recipe, Recipe):
            raise StoreError(f"{directory} is a run of kind {recipe.kind}, which logs no rollouts; name an RL run.")
        spec = _choose_task(directory, recipe, task)
        resolved = resolve_task(spec)
        chosen = partition if partition is not None else choose_partition(output, resolved)
        rows = {row["id"]: row for row in load_rows(resolved, "train", needs_ids=False)}
        judge = resolve_partition(chosen)
        findings = [*_find(directory, rows, keys_of(judge), done)]
        refuse_held_out(resolved, held_out, [rows[each.problem] for each in findings], directory)
        archive = Archive.create(output, task=describe_spec(spec), partition=describe_spec(chosen))
        before = archive.num_solutions
        archive.add(_source(directory, recipe), findings)
        if not isinstance(judge, KeyPartition):
            classify(archive, [each.problem for each in findings], rows, judge)
        done.num_new += archive.num_solutions - before
        done.num_evaluations += 1
    if archive is None:
        raise ConfigError("No run was named to collect from; write the directory of one.")
    return archive, done


def _choose_task(directory: Path, recipe: Recipe, task: PluginSpec | None) -> PluginSpec:
    if task is not None:
        return task
    if code := find_code(recipe.task):
        raise StoreError(
            f"{directory} names {code!r}, which is code; if you trust it, name the task yourself with --task "
            f"{shlex.quote(str(recipe.task))}."
        )
    return recipe.task


def _find(directory: Path, rows: Mapping[str, Row], partition: Partition, done: Collected) -> Iterator[Finding]:
    drawn: Counter[str] = Counter()
    correct: dict[str, list[tuple[str, str, None]]] = defaultdict(list)
    for record in _read(directory):
        done.num_samples += 1
        if record["problem"] not in rows:
            done.num_unknown += 1
            continue
        drawn[record["problem"]] += record["correct"] is not None
        # What was cut off never enters, whatever a verifier said of its beginning.
        if record["correct"] and not record["truncated"]:
            correct[record["problem"]].append((_text(record["completion"]), "stop", None))
    done.num_correct += sum(map(len, correct.values()))
    for id, count in drawn.items():
        solutions = find_solutions(correct[id], rows[id], partition, USUAL_TAG) if correct[id] else ()
        yield Finding(id, rows[id]["prompt"], count, len(correct[id]), solutions)


def _read(directory: Path) -> Iterator[dict[str, Any]]:
    files = sorted((directory / "completions").glob("*.parquet"))
    if not files:
        raise StoreError(f"{directory} logged no rollouts; train with train.log_completions: true.")
    before: list[Any] = []
    for path in files:
        records = read_file(path)
        if records and any(column not in records[0] for column in LOGGED):
            raise StoreError(
                f"{path} does not say what was correct; it was logged by another trainer or an older rlkit."
            )
        # A batch that is learnt from in several steps is logged in each.
        told = [(record["problem"], record["completion"]) for record in records]
        yield from () if told == before else records
        before = told


def _text(completion: Any) -> str:
    """Return the text of a completion, which is one message where prompts are chats."""
    return completion if isinstance(completion, str) else "".join(str(each.get("content") or "") for each in completion)


def _source(directory: Path, recipe: Recipe) -> Source:
    known = {key: value for key, value in recipe.to_mapping().items() if key != "output"}
    step = RunDirectory(directory).read_state().get("step")
    return Source(digest_of(known | {"rollouts": True}), recipe.model, recipe.train.get("temperature", 1.0), step, None)
