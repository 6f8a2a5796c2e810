"""A request with everything it names found and checked, before anything heavy is loaded or any file changed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.diversity import Partition, resolve_partition
from rlkit.errors import ConfigError, EngineError, StoreError
from rlkit.evaluation.configuration import (
    EvaluationConfig,
    describe_spec,
    model_fingerprint,
    prompts_digest,
    split_spec,
)
from rlkit.evaluation.directory import CONFIG, read_config
from rlkit.evaluation.engines.adapters import PolicySource, locate_policy
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.contract import Engine, Sample, SampleKey, resolve_engine
from rlkit.evaluation.request import EvaluationRequest
from rlkit.evaluation.samples.grader_identity import describe_grader, grades_alike
from rlkit.evaluation.samples.reading import read_samples
from rlkit.evaluation.samples.store import check_directory, key_of
from rlkit.tasks import resolve_task
from rlkit.tasks.rows import load_rows
from rlkit.terminal import note
from rlkit.types import Row, Task


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
    adapter_path: str | None = None
    thinking_tag: str | None = "think"
    grader: Mapping[str, Any] | None = None
    """As config.json names it."""
    partition: Partition | None = None
    """What `class` in samples.jsonl means; None for the answer."""

    @property
    def keys(self) -> set[SampleKey]:
        """Which samples there are to be."""
        return {(row["id"], sample) for row in self.rows for sample in range(self.config.n)}

    @property
    def grader_of_samples(self) -> Mapping[str, Any] | None:
        """The grader while samples are drawn: classes are told apart when all are there."""
        return None if self.grader is None else {**self.grader, "partition": None}


@dataclass(frozen=True)
class GradesOnly:
    """The engine of a plan that draws nothing."""

    def check(self) -> None:
        """Accept every machine."""

    def sample(self, *_: Any, **__: Any) -> Iterator[list[Sample]]:
        """Refuse."""
        raise EngineError("This evaluation is only graded; rlkit eval draws what is missing.")


def plan_evaluation(request: EvaluationRequest) -> EvaluationPlan:
    """Find the task, the engine and the model that a request names, without loading one or changing a file."""
    engine = resolve_engine(request.engine)
    is_name = getattr(engine, "names_models", False)
    policy = locate_policy(request.model, request.adapter, is_name=is_name)
    _check_takes(engine, policy, request.chat_format)
    task = resolve_task(request.task)
    rows = load_rows(task, request.split)[: request.limit]
    _check_gold(task, rows)
    request.chat_format.apply_system(rows)
    plan = EvaluationPlan(
        name=request.name or name_of(request.directory),
        model_path=policy.model if is_name else policy.model_path,
        task=task,
        rows=rows,
        engine=engine,
        config=_configure(request, policy, rows, engine),
        output=request.directory,
        adapter_path=policy.adapter_path,
        thinking_tag=request.thinking_tag,
        grader=describe_grader(task, request.task, request.thinking_tag, request.partition),
        partition=None if request.partition is None else resolve_partition(request.partition),
    )
    check_directory(plan.output, plan.config)
    _check_can_go_on(plan)
    return plan


def _configure(request: EvaluationRequest, policy: PolicySource, rows: list[Row], engine: Engine) -> EvaluationConfig:
    engine_spec, connection = split_spec(request.engine, getattr(engine, "connection", ()))
    return EvaluationConfig(
        model=policy.model,
        model_fingerprint=model_fingerprint(policy.model_path),
        task=describe_spec(request.task),
        split=request.split,
        limit=request.limit,
        prompts_digest=prompts_digest(rows),
        n=request.n,
        engine=engine_spec,
        sampling=request.draws,
        adapter=policy.adapter,
        adapter_fingerprint=None if policy.adapter_path is None else model_fingerprint(policy.adapter_path),
        chat=request.chat_format,
        connection=connection,
    )


def settings_of(adapter: str | None, chat: ChatFormat) -> dict[str, Any]:
    """Return the keyword arguments that an engine must know for this evaluation; none for a plain one."""
    settings: dict[str, Any] = {} if adapter is None else {"adapter": adapter}
    return settings | ({"chat": chat} if chat.template or chat.template_args else {})


def _check_takes(engine: Engine, policy: PolicySource, chat: ChatFormat) -> None:
    taken = inspect.signature(engine.sample).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        return
    for setting in settings_of(policy.adapter_path, chat):
        if setting not in {parameter.name for parameter in taken}:
            raise ConfigError(f"The engine {engine!r} takes no {setting}; write hf or vllm, or leave it out.")


def _check_gold(task: Task, rows: list[Row]) -> None:
    """Raise ConfigError where a verifier misses a column, which would leave every sample of the problem unscored."""
    columns = {name for name, value in rows[0].items() if value is not None}
    unlike = (row for row in rows if {name for name, value in row.items() if value is not None} != columns)
    for row in (rows[0], *unlike):
        try:
            task.grade("", row)
        except KeyError as error:
            raise ConfigError(
                f"Problem {row['id']!r} of the task {task.name!r} has no column {error}, which its verifier needs; add "
                "it to the data, or leave the problem out."
            ) from error
        except Exception:
            continue


def _check_can_go_on(plan: EvaluationPlan) -> None:
    """Check what drawing needs, where anything is missing: the engine, and a grader like the one before."""
    is_ours = (plan.output / CONFIG).is_file()
    done = set(map(key_of, read_samples(plan.output))) if is_ours else set()
    stored = read_config(plan.output).get("grader") if done else None
    assert plan.grader is not None
    if plan.keys <= done:
        if not grades_alike(stored, plan.grader):
            note(f"The labels in {plan.output} are another grader's; rlkit grade {plan.output} gives this one's.")
        return
    if not grades_alike(stored, plan.grader) or (stored or {}).get("partition") not in (None, plan.grader["partition"]):
        raise StoreError(
            f"The samples in {plan.output} were graded in another way (task, verifier, thinking tag or partition); "
            f"grade them again with rlkit grade {plan.output}, with the same options, or choose another output."
        )
    plan.engine.check()


def name_of(output: Path) -> str:
    """Return what an evaluation is called after its directory."""
    resolved = output.resolve()
    return resolved.parent.name if resolved.name == "eval" else resolved.name
