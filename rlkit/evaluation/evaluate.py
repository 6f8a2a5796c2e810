"""Sample, grade, measure: from a model and a task to a directory with samples and a report.

    report = evaluate("countdown-tiny", "countdown", n=128, output="runs/base", limit=200)
    report["pass_at_k"]["16"]["value"]

Called again with the same arguments, it continues where it stopped; when nothing is missing, no model is loaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.directory import CLASSES, REPORT, labels_are_pending, read_config
from rlkit.evaluation.engines.contract import SampleKey
from rlkit.evaluation.metrics.measure import build_report
from rlkit.evaluation.planning import EvaluationPlan, plan_evaluation, settings_of
from rlkit.evaluation.progress import SamplingProgress
from rlkit.evaluation.request import EvaluationRequest
from rlkit.evaluation.samples.grading import Grader
from rlkit.evaluation.samples.reading import read_samples
from rlkit.evaluation.samples.solution_classes import classify_samples
from rlkit.evaluation.samples.store import SampleStore, key_of, replacing_graded
from rlkit.files import write_json
from rlkit.terminal import note
from rlkit.types import PluginSpec


def evaluate(model: str, task: PluginSpec, n: int, output: str | Path, **settings: Any) -> dict[str, Any]:
    """Draw n samples for each problem of a task, grade them, and report pass@k and diversity with intervals.

    Args:
        model, task, n, output, settings: the fields of `EvaluationRequest`.

    Returns:
        What was written to `output/report.json`.

    Raises:
        ConfigError, PluginError: an argument is not allowed, or names something that does not exist.
        StoreError: the directory holds something else, is in use, or cannot be written.
        EngineError: what samples are drawn from failed meanwhile; what was drawn is kept.
    """
    return run_evaluation(plan_evaluation(EvaluationRequest(model, task, n, output, **settings)))


def run_evaluation(plan: EvaluationPlan) -> dict[str, Any]:
    """Draw what is missing, then measure everything; returns the report.

    Raises:
        KeyboardInterrupt: with a message of how much is kept.
    """
    with SampleStore(plan.output, plan.config, plan.grader_of_samples) as store:
        # A directory may hold samples of other problems, as after joining files; they stand for none of these.
        wanted = plan.keys
        if not wanted <= store.done:
            try:
                _draw_missing(plan, store, wanted)
            except KeyboardInterrupt as interrupt:
                kept = f"{len(wanted & store.done):,} of {len(wanted):,} samples are kept in {plan.output}"
                raise KeyboardInterrupt(f"interrupted: {kept}; the same command goes on from there.") from interrupt
        with _classes_assigned(plan) if plan.partition is not None else contextlib.nullcontext():
            report = build_report(plan)
            write_json(plan.output / REPORT, report)
    return report


def _draw_missing(plan: EvaluationPlan, store: SampleStore, wanted: set[SampleKey]) -> None:
    grader = Grader(plan.task, plan.rows, plan.thinking_tag)
    config = plan.config
    rows = config.chat.apply_system(plan.rows)
    settings = settings_of(plan.adapter_path, config.chat)
    batches = plan.engine.sample(plan.model_path, rows, config.n, config.sampling, store.done, **settings)
    try:
        with SamplingProgress(plan.name, len(wanted), len(wanted & store.done)) as progress:
            for batch in batches:
                before = len(store.done)
                store.append(grader.records([sample for sample in batch if sample.key not in store.done]))
                progress.advance(len(store.done) - before, sum(sample.num_tokens for sample in batch))
    finally:
        # An interrupted generator still holds the model; closing it runs its own clean-up now.
        if isinstance(batches, Generator):
            batches.close()
    for error, count in grader.errors.most_common(1):
        note(f"The verifier of {plan.task.name} failed on {count} samples, which count as unscored: {error}")


def _classes_assigned(plan: EvaluationPlan) -> contextlib.AbstractContextManager[None]:
    assert plan.partition is not None
    assert plan.grader is not None
    header = read_config(plan.output)
    # Of a directory that another grader has judged, the labels stay that grader's.
    stored = dict(header.get("grader") or plan.grader)
    if labels_are_pending(stored):
        raise StoreError(f"Grading {plan.output} again was broken off; finish it with rlkit grade {plan.output}.")
    grader = Grader(plan.task, plan.rows, stored.get("thinking_tag", "think"))
    classes = classify_samples(plan.output, plan.rows, plan.partition, grader)
    records = ({**record, "class": classes.get(key_of(record))} for record in read_samples(plan.output))
    stored = {name: value for name, value in stored.items() if name != "pending"}
    return replacing_graded(plan.output, header, {**stored, "partition": plan.grader["partition"]}, records, CLASSES)
