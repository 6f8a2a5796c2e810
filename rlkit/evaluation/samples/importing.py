"""Logs of other tools as an evaluation directory, so that reports and comparisons work on them.

import_logs(["samples_gsm8k_2025-11-05T14-43-47.jsonl"], "runs/harness", model="my-model")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from rlkit.errors import ConfigError
from rlkit.evaluation.configuration import EvaluationConfig, digest_of, prompts_digest
from rlkit.evaluation.directory import REPORT
from rlkit.evaluation.engines.contract import Engine
from rlkit.evaluation.metrics.measure import build_report
from rlkit.evaluation.planning import EvaluationPlan
from rlkit.evaluation.samples.grading import grade_fields
from rlkit.evaluation.samples.logs import LoggedProblem, SampleLog, read_log
from rlkit.evaluation.samples.reading import Record
from rlkit.evaluation.samples.store import SampleStore
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.files import write_json
from rlkit.tasks.dataset import read_gold
from rlkit.tasks.verifiers import find_verifier
from rlkit.types import Grade, Row, Task
from rlkit.verifiers.answers import extract_final_answer, normalise_answer
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text, check_thinking_tag

_NOT_LOGGED = dict.fromkeys(("finish_reason", "logp_sum", "logp_mean", "entropy_mean"))
_SETTINGS = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "stop", "seed")


@dataclass(frozen=True)
class LoggedSampling:
    """How completions were drawn as far as a log says; stands where an evaluation of ours has its `SamplingConfig`."""

    stated: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return every setting; None is what the log does not state."""
        return {key: self.stated.get(key) for key in _SETTINGS}


@dataclass(frozen=True)
class LoggedTask:
    """Stands where an evaluation of ours has its task."""

    name: str


def import_logs(
    logs: Sequence[str | Path],
    output: str | Path,
    *,
    model: str | None = None,
    name: str | None = None,
    metric: str | None = None,
    filter: str | None = None,
    verifier: str | None = None,
    thinking_tag: str | None = USUAL_TAG,
) -> dict[str, Any]:
    """Write an evaluation directory from logs of one task and model and return its report.

    Args:
        logs: files as in `read_log`; each adds its completions of a problem to those of the files before.
        output: directory to write.
        model: the model's name; needed where the logs do not hold it.
        name: what reports call the evaluation; by default the directory's name.
        metric: of the log, by which samples are correct where it is 1 or more.
        filter: of an lm-evaluation-harness log.
        verifier: grades all completions anew against the log's gold answers: `math`, `exact` or `file.py:fn`.
        thinking_tag: of the reasoning in which no answer is looked for; None takes completions whole.

    Raises:
        ConfigError: a file is no such log, or the logs are of several tasks, or no model is named.
        StoreError: the directory holds something else.
    """
    check_thinking_tag(thinking_tag)
    read = [read_log(Path(log), metric, filter) for log in logs]
    rows, records = _rows(read), _records(read, verifier, thinking_tag)
    output = Path(output).expanduser()
    plan = _plan(read, rows, records, output, model, name or output.resolve().name)
    with SampleStore(output, plan.config) as store:
        store.append(records)
        report = build_report(plan)
        write_json(output / REPORT, report)
    return report


def _plan(
    logs: Sequence[SampleLog],
    rows: list[Row],
    records: Sequence[Record],
    output: Path,
    model: str | None,
    name: str,
) -> EvaluationPlan:
    first = logs[0]
    model = model or first.model
    if model is None:
        raise ConfigError("The log does not say which model wrote it; give --model NAME.")
    if different := next((log.task for log in logs if log.task != first.task), None):
        raise ConfigError(f"The logs are of the tasks {first.task!r} and {different!r}; import one task at a time.")
    config = EvaluationConfig(
        model=model,
        model_fingerprint=f"log {digest_of(records)}",
        task=first.task,
        split="test",
        limit=None,
        prompts_digest=prompts_digest(rows),
        n=max(record["sample"] for record in records) + 1,
        engine=first.tool,
        # A report only asks for their JSON; nothing is drawn from a log.
        sampling=cast(SamplingConfig, LoggedSampling(first.sampling)),
    )
    return EvaluationPlan(name, "", cast(Task, LoggedTask(first.task)), rows, cast(Engine, None), config, output)


def _rows(logs: Sequence[SampleLog]) -> list[Row]:
    problems: dict[str, LoggedProblem] = {}
    for log in logs:
        for problem in log.problems:
            problems.setdefault(problem.id, problem)
    return [{"id": problem.id, "prompt": problem.prompt} for problem in problems.values()]


def _records(logs: Sequence[SampleLog], verifier: str | None, tag: str | None) -> list[Record]:
    records: list[Record] = []
    counts: dict[str, int] = {}
    for problem in (problem for log in logs for problem in log.problems):
        grades = _logged_grades(problem, tag) if verifier is None else _new_grades(problem, verifier, tag)
        for at, (text, grade) in enumerate(zip(problem.completions, grades, strict=True)):
            tokens = None if problem.num_tokens is None else problem.num_tokens[at]
            record = {"prompt_id": problem.id, "sample": counts.get(problem.id, 0), "completion": text}
            records.append({**record, "num_tokens": tokens, **_NOT_LOGGED, **grade_fields(grade)})
            counts[problem.id] = counts.get(problem.id, 0) + 1
    return records


def _logged_grades(problem: LoggedProblem, tag: str | None) -> list[Grade]:
    answers = [problem.answer or extract_final_answer(answer_text(text, tag)) for text in problem.completions]
    return [_logged_grade(problem.score, answer) for answer in answers]


def _logged_grade(score: float | None, answer: str | None) -> Grade:
    key = None if answer is None else normalise_answer(answer)
    if score is None:
        return Grade(None, "not_judged", key)
    return Grade(score >= 1.0, "correct" if score >= 1.0 else "wrong_answer", key)


def _new_grades(problem: LoggedProblem, verifier: str, tag: str | None) -> list[Grade]:
    judge = find_verifier(verifier)
    judge.check()
    if problem.gold is None:
        return [Grade(None, "no_gold") for _ in problem.completions]
    row = {"id": problem.id, "prompt": problem.prompt, "gold": read_gold(problem.gold), "choices": "ABCDEFGHIJ"}
    return judge.grade([answer_text(text, tag) for text in problem.completions], [row] * len(problem.completions))
