"""Sample, grade, measure: from a model and a task to a directory with samples and a report.

    report = evaluate("countdown-tiny", "countdown", n=128, output="runs/base", limit=200)
    report["pass_at_k"]["16"]["value"]

Called again with the same arguments, it continues where it stopped; when nothing is missing, no model is loaded.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.contract import SampleKey
from rlkit.evaluation.grading import Grader
from rlkit.evaluation.measure import build_report
from rlkit.evaluation.planning import EvaluationPlan, plan_evaluation, settings_of
from rlkit.evaluation.progress import SamplingProgress
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.evaluation.solution_classes import classify_samples
from rlkit.evaluation.store import (
    CLASSES,
    REPORT,
    VERDICTS,
    SampleStore,
    read_config,
    read_samples,
    replace_graded,
    write_json,
)
from rlkit.terminal import note
from rlkit.types import PluginSpec

__all__ = ["EvaluationPlan", "evaluate", "plan_evaluation", "run_evaluation"]


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
    adapter: str | None = None,
    chat: ChatFormat | None = None,
    thinking_tag: str | None = "think",
    partition: PluginSpec | None = None,
) -> dict[str, Any]:
    """Draw n samples for each problem of a task, grade them, and report pass@k and diversity with intervals.

    Args:
        model: a directory, the name of a bundled model, or a hub id; a directory that holds only a LoRA adapter means
            its base model with it.
        task: as in a recipe.
        n: samples a prompt, at least 1; pass@k is then known for k = 1..n.
        output: directory of this evaluation; continued when it holds the same one.
        engine: as in a recipe: `hf`, `vllm`, `openai`, or a plug-in.
        split: of the task.
        limit: take only the first so many problems of the split.
        sampling: temperature, truncation, length, seed; a mapping is checked like a recipe.
        name: what reports call this evaluation; by default the directory's name, or its parent's where it is `eval`.
        adapter: directory of a LoRA adapter to put on the model; for servers, the name they know it by.
        chat: system message and chat template of chat prompts.
        thinking_tag: of the reasoning that is left out before grading; None grades whole texts.
        partition: what `class` in samples.jsonl means, as in a recipe; None for the answer.

    Returns:
        What was written to `output/report.json`.

    Raises:
        ConfigError, PluginError: an argument is not allowed, or names something that does not exist.
        StoreError: the directory holds something else, is in use, or cannot be written.
        EngineError: what samples are drawn from failed meanwhile; what was drawn is kept.
    """
    plan = plan_evaluation(
        model,
        task,
        n,
        output,
        engine=engine,
        split=split,
        limit=limit,
        sampling=sampling,
        name=name,
        adapter=adapter,
        chat=chat,
        thinking_tag=thinking_tag,
        partition=partition,
    )
    return run_evaluation(plan)


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
        if plan.partition is not None:
            _assign_classes(plan)
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


def _assign_classes(plan: EvaluationPlan) -> None:
    assert plan.partition is not None
    assert plan.grader is not None
    header = read_config(plan.output)
    # Of a directory that another grader has judged, the verdicts stay that grader's.
    stored = dict(header.get("grader") or plan.grader)
    if stored.pop("pending", None) == VERDICTS:
        raise StoreError(f"Grading {plan.output} again was broken off; finish it with rlkit grade {plan.output}.")
    grader = Grader(plan.task, plan.rows, stored["thinking_tag"])
    classes = classify_samples(plan.output, plan.rows, plan.partition, grader)
    records = (
        {**record, "class": classes.get((record["prompt_id"], record["sample"]))}
        for record in read_samples(plan.output)
    )
    replace_graded(plan.output, header, {**stored, "partition": plan.grader["partition"]}, records, CLASSES)
