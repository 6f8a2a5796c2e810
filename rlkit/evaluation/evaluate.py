"""Sample, grade, measure: from a model and a task to a directory with samples and a report.

    report = evaluate("countdown-tiny", "countdown", n=128, output="runs/base", limit=200)
    report["pass_at_k"]["16"]["value"]

Called again with the same arguments, it continues where it stopped; when nothing is missing, no model is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.configuration import EvaluationConfig, describe_spec, model_fingerprint, prompts_digest
from rlkit.evaluation.engine import Engine, resolve_engine
from rlkit.evaluation.grading import Grader
from rlkit.evaluation.measure import build_report
from rlkit.evaluation.progress import SamplingProgress
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.evaluation.store import REPORT, SampleStore, check_directory, write_json
from rlkit.models import locate_model
from rlkit.tasks import resolve_task
from rlkit.terminal import note
from rlkit.types import PluginSpec, Row, Task


@dataclass(frozen=True)
class EvaluationPlan:
    """An evaluation whose every argument has been checked, and for which nothing heavy has been loaded."""

    name: str
    model_path: str
    task: Task
    rows: list[Row]
    engine: Engine
    config: EvaluationConfig
    output: Path


def evaluate(
    model: str,
    task: PluginSpec,
    n: int,
    output: str | Path,
    *,
    engine: PluginSpec = "hf",
    split: str = "test",
    limit: int | None = None,
    sampling: SamplingConfig | Mapping[str, Any] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Draw n samples for each problem of a task, grade them, and report pass@k and diversity with intervals.

    Args:
        model: a directory, the name of an embedded model, or a hub id.
        task: as in a recipe.
        n: samples a prompt, at least 1; pass@k is then known for k = 1..n.
        output: directory of this evaluation; continued when it holds the same one.
        engine: as in a recipe: `hf`, `vllm`, or a plug-in.
        split: of the task.
        limit: take only the first so many problems of the split.
        sampling: temperature, truncation, length, seed; a mapping is checked like a recipe.
        name: what reports call this evaluation; by default the directory's name, or its parent's where it is `eval`.

    Returns:
        What was written to `output/report.json`.

    Raises:
        ConfigError, PluginError: an argument is not allowed, or names something that does not exist.
        StoreError: the directory holds something else, is in use, or cannot be written.
    """
    plan = plan_evaluation(
        model, task, n, output, engine=engine, split=split, limit=limit, sampling=sampling, name=name
    )
    return run_evaluation(plan)


def plan_evaluation(
    model: str,
    task: PluginSpec,
    n: int,
    output: str | Path,
    *,
    engine: PluginSpec = "hf",
    split: str = "test",
    limit: int | None = None,
    sampling: SamplingConfig | Mapping[str, Any] | None = None,
    name: str | None = None,
) -> EvaluationPlan:
    """Check every argument of `evaluate`, without loading a model or changing a file."""
    if not isinstance(sampling, SamplingConfig):
        sampling = SamplingConfig.from_mapping(sampling or {})
    _check_counts(n, limit, sampling)
    model_path = locate_model(model)
    resolved_engine = resolve_engine(engine)
    resolved_engine.check()
    resolved_task = resolve_task(task)
    rows = _load_rows(resolved_task, split, limit)
    config = EvaluationConfig(
        model=model,
        model_fingerprint=model_fingerprint(model_path),
        task=describe_spec(task),
        split=split,
        limit=limit,
        prompts_digest=prompts_digest(rows),
        n=n,
        engine=describe_spec(engine),
        sampling=sampling,
    )
    output = Path(output).expanduser()
    check_directory(output, config)
    return EvaluationPlan(name or _name_of(output), model_path, resolved_task, rows, resolved_engine, config, output)


def run_evaluation(plan: EvaluationPlan) -> dict[str, Any]:
    """Draw what is missing, then measure everything; returns the report.

    Raises:
        KeyboardInterrupt: with a message of how much is kept.
    """
    with SampleStore(plan.output, plan.config) as store:
        total = len(plan.rows) * plan.config.n
        if len(store.done) < total:
            try:
                _draw_missing(plan, store, total)
            except KeyboardInterrupt as interrupt:
                kept = f"{len(store.done):,} of {total:,} samples are kept in {plan.output}"
                raise KeyboardInterrupt(f"interrupted: {kept}; the same command goes on from there.") from interrupt
        report = build_report(plan)
        write_json(plan.output / REPORT, report)
    return report


def _draw_missing(plan: EvaluationPlan, store: SampleStore, total: int) -> None:
    grader = Grader(plan.task, plan.rows)
    config = plan.config
    batches = plan.engine.sample(plan.model_path, plan.rows, config.n, config.sampling, store.done)
    try:
        with SamplingProgress(plan.name, total, len(store.done)) as progress:
            for batch in batches:
                before = len(store.done)
                store.append([grader.record(sample) for sample in batch if sample.key not in store.done])
                progress.advance(len(store.done) - before, sum(sample.num_tokens for sample in batch))
    finally:
        # An interrupted generator still holds the model; closing it runs its own clean-up now.
        if isinstance(batches, Generator):
            batches.close()
    for error, count in grader.errors.most_common(1):
        note(f"The verifier of {plan.task.name} failed on {count} samples, which count as unscored: {error}")


def _check_counts(n: int, limit: int | None, sampling: SamplingConfig) -> None:
    if not isinstance(n, int) or n < 1:
        raise ConfigError(f"n was given as {n!r}; write at least 1 sample a prompt (pass@k needs n >= k).")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit was given as {limit}; write at least 1 problem, or leave it out for all.")
    if sampling.temperature == 0.0 and n > 1:
        raise ConfigError(f"temperature 0 gives the same completion every time; write n 1 instead of {n}, or raise it.")


def _load_rows(task: Task, split: str, limit: int | None) -> list[Row]:
    rows = list(task.load(split))[:limit]
    if not rows:
        raise ConfigError(f"The split {split!r} of task {task.name!r} has no problems; choose another split.")
    ((most_common, count),) = Counter(row["id"] for row in rows).most_common(1)
    if count > 1:
        raise ConfigError(f"The task {task.name!r} gives {count} problems the id {most_common!r}; ids must be unique.")
    return rows


def _name_of(output: Path) -> str:
    resolved = output.resolve()
    return resolved.parent.name if resolved.name == "eval" else resolved.name
