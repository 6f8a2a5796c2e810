"""Grading stored samples again, without a model: another verifier, another partition, in one step or not at all.

The new lines are written beside the old ones and put in their place when all are on the disk. Only then, for a moment,
does config.json call the labels `pending`; whoever finds that word runs `rlkit grade` again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rlkit.diversity import Partition, resolve_partition
from rlkit.errors import StoreError
from rlkit.evaluation.configuration import EvaluationConfig
from rlkit.evaluation.directory import REPORT, find_evaluation, read_config
from rlkit.evaluation.metrics.measure import build_report
from rlkit.evaluation.planning import EvaluationPlan, GradesOnly, name_of
from rlkit.evaluation.samples.grader_identity import describe_grader
from rlkit.evaluation.samples.grading import Grader
from rlkit.evaluation.samples.problems import load_problems
from rlkit.evaluation.samples.reading import SAMPLES, Record, read_samples
from rlkit.evaluation.samples.solution_classes import classify_samples
from rlkit.evaluation.samples.store import replacing_graded
from rlkit.files import as_store_error, locked, read_json, write_json
from rlkit.types import PluginSpec, Row, Task
from rlkit.verifiers.reasoning import check_thinking_tag

_MOST_EXAMPLES = 20
_BATCH = 4096
"""Samples that a verifier is given at once."""
KEEP = "as before"
"""The thinking tag that was left out before."""


@dataclass
class Regrading:
    """What grading again has changed."""

    num_samples: int = 0
    num_changed: int = 0
    """Samples with another label, or another `correct`."""
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Label before and after of those."""
    examples: list[tuple[str, int, str, str]] = field(default_factory=list)
    """Prompt id, sample, label before and after; the first twenty."""
    errors: Counter[str] = field(default_factory=Counter)
    """Errors of the verifier; these samples are unscored."""

    def count(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Enter one sample."""
        self.num_samples += 1
        if (before["correct"], before["label"]) == (after["correct"], after["label"]):
            return
        self.num_changed += 1
        self.changes[before["label"], after["label"]] += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append((before["prompt_id"], before["sample"], before["label"], after["label"]))


def regrade(
    directory: str | Path,
    *,
    task: PluginSpec | None = None,
    partition: PluginSpec | None = None,
    thinking_tag: str | None = KEEP,
    output: str | Path | None = None,
) -> Regrading:
    """Grade the samples of a directory again and write its report anew; what identifies the samples stays.

    Args:
        directory: of an evaluation, finished or not, or a training run with one in `eval/`.
        task: whose verifier to use, with the same problems; None takes the one that graded before, unless it is code
            of its own: what a directory says is nobody's order to run something.
        partition: what `class` is to mean; None takes the answer.
        thinking_tag: of the reasoning to leave out, None for none; KEEP takes the one that was left out before.
        output: an empty or new directory for the result; None puts it in the place of what was there.

    Raises:
        PluginError, ConfigError: an argument is not allowed, or names something that does not exist.
        StoreError: the directory is none of an evaluation, is in use, cannot be written, or the
            task has other problems.
    """
    source = find_evaluation(directory)
    header = read_config(source)
    if thinking_tag == KEEP:
        thinking_tag = (header.get("grader") or {}).get("thinking_tag", "think")
    check_thinking_tag(thinking_tag)
    spec, resolved, rows = load_problems(source, header, task)
    resolved_partition = None if partition is None else resolve_partition(partition)
    plan = _plan(source, header, resolved, rows, Path(output).expanduser() if output is not None else source)
    done = Regrading()
    with as_store_error(plan.output):
        plan.output.mkdir(parents=True, exist_ok=True)
    with locked(source), as_store_error(plan.output):
        grader = Grader(resolved, plan.rows, thinking_tag)
        described = describe_grader(resolved, spec, thinking_tag, partition)
        records = _regraded(source, plan, grader, resolved_partition, done)
        with replacing_graded(plan.output, header, described, records):
            write_json(plan.output / REPORT, build_report(plan))
    done.errors = grader.errors
    return done


def _regraded(
    source: Path, plan: EvaluationPlan, grader: Grader, partition: Partition | None, done: Regrading
) -> Iterator[Record]:
    classes = None if partition is None else classify_samples(source, plan.rows, partition, grader)
    lines = read_samples(source)
    while batch := list(islice(lines, _BATCH)):
        # Those of other problems, as after joining files, are in no number, and nothing of them is known.
        known = [record for record in batch if grader.knows(record["prompt_id"])]
        regraded = iter(grader.regrade(known))
        for record in batch:
            if not grader.knows(record["prompt_id"]):
                yield record
                continue
            after = next(regraded)
            if classes is not None:
                after["class"] = classes[record["prompt_id"], record["sample"]]
            done.count(record, after)
            yield after


def _plan(source: Path, header: Mapping[str, Any], task: Task, rows: list[Row], output: Path) -> EvaluationPlan:
    config = EvaluationConfig.from_json(header["config"])
    if output != source and output.is_dir() and any(output.iterdir()):
        raise StoreError(f"{output} is not empty; choose an empty or new directory, or leave the output out.")
    name = read_json(source / REPORT).get("name") if (source / REPORT).is_file() else None
    name = name if isinstance(name, str) else None
    if not (source / SAMPLES).is_file():
        raise StoreError(f"{source} holds no samples yet; rlkit eval draws them.")
    return EvaluationPlan(name or name_of(source), config.model, task, rows, GradesOnly(), config, output)
