"""Sample logs of other tools as problems and graded samples; what a log does not hold is None.

- lm-evaluation-harness: `samples_TASK_DATE.jsonl` of `--log_samples`; fields as in its `lm_eval/result_schema.py` and
  `lm_eval/loggers/evaluation_tracker.py` (https://github.com/EleutherAI/lm-evaluation-harness).
- lighteval: `details_TASK_DATE.parquet` of `--save-details`; columns `doc`, `model_response` and `metric` as in its
  `logging/info_loggers.py`, `tasks/requests.py` and `models/model_output.py` (https://github.com/huggingface/lighteval).

Both tools give one grade a problem. It belongs to the completion where there is one; where a problem has several, the
log does not say which of them were right, so they stay unscored unless a verifier grades them anew.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.tasks.tables import read_file
from rlkit.types import Prompt

HARNESS, LIGHTEVAL = "lm-evaluation-harness", "lighteval"
_DATE = r"_\d{4}-\d{2}-\d{2}T[\d.:-]+"
_BOOKKEEPING = ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics")
_INVALID = "[invalid]"
"""What the harness's filters put where they find no answer."""


@dataclass(frozen=True)
class LoggedProblem:
    """One problem of a log with its completions."""

    id: str
    prompt: Prompt
    gold: str | None
    completions: list[str]
    num_tokens: list[int] | None
    """Tokens of each completion."""
    score: float | None
    """The log's own grade, where the problem has one completion."""
    answer: str | None = None
    """The answer that the log extracted, where it did."""


@dataclass(frozen=True)
class SampleLog:
    """What one log file holds."""

    tool: str
    task: str
    model: str | None
    problems: list[LoggedProblem]
    sampling: dict[str, Any] = field(default_factory=dict)
    """The settings that the log states, in the names of `SamplingConfig`."""


def read_log(path: Path, metric: str | None = None, filter: str | None = None) -> SampleLog:
    """Return what a log holds.

    Args:
        path: a `.jsonl` file of the harness or a `.parquet` file of lighteval.
        metric: the metric that grades; by default the only one, or `exact_match`, `extractive_match`, `acc`.
        filter: the harness's filter whose results are read; needed where the log has several.

    Raises:
        ConfigError: the file is no such log, holds no completions, or has several metrics or filters to choose from.
    """
    records = read_file(path)
    if not records:
        raise ConfigError(f"{path} holds no samples; name a log with at least one.")
    if "doc_id" in records[0] and "resps" in records[0]:
        return _read_harness(path, records, metric, filter)
    if {"doc", "model_response", "metric"} <= records[0].keys():
        return _read_lighteval(path, records, metric)
    raise ConfigError(
        f"{path} is no sample log that can be read; give samples_*.jsonl of lm-evaluation-harness (--log_samples) or "
        "details_*.parquet of lighteval (--save-details)."
    )


def _read_harness(path: Path, records: list[dict[str, Any]], metric: str | None, filter: str | None) -> SampleLog:
    records = _name_halves(path, records)
    chosen = _choose_filter(path, records, filter)
    name = _choose_metric(path, _harness_metrics(records), metric)
    task = _task_of(path, "samples_")
    kept = [record for record in records if record.get("filter") == chosen]
    problems = _read_each(path, kept, lambda record, _: _harness_problem(path, task, record, name))
    settings = _harness_arguments(kept[0])[1:2]
    return SampleLog(HARNESS, task, _harness_model(path), problems, _harness_sampling(*settings))


def _name_halves(path: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records, each with a filter: older versions wrote the results of several under no name, in turn.

    Raises:
        ConfigError: some problems are there more often than others, or twice under one filter.
    """
    seen: Counter[tuple[str, Any]] = Counter()
    named = []
    for record in records:
        seen[(str(record.get("doc_id")), record.get("filter"))] += 1
        times = seen[(str(record.get("doc_id")), record.get("filter"))]
        named.append(record if record.get("filter") is not None else {**record, "filter": str(times)})
    ((problem, name), most), *others = seen.most_common()
    if most > 1 and (name is not None or any(times != most for _, times in others)):
        raise ConfigError(f"{path} holds problem {problem} {most} times; delete what was logged twice.")
    return named if most > 1 else records


def _harness_metrics(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the metrics that a log names; older versions only wrote their values."""
    stated = records[0].get("metrics")
    if isinstance(stated, list) and stated:
        return [name for name in stated if isinstance(name, str)]
    found = (key for record in records for key, value in record.items() if isinstance(value, bool | int | float))
    return [key for key in dict.fromkeys(found) if key not in _BOOKKEEPING]


def _read_each(
    path: Path, records: Sequence[dict[str, Any]], read: Callable[[dict[str, Any], int], LoggedProblem]
) -> list[LoggedProblem]:
    """Return what `read` makes of each record and its number; ConfigError names one in which something is missing."""
    problems = []
    for number, record in enumerate(records):
        try:
            problems.append(read(record, number))
        except (LookupError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"Sample {number + 1} of {path} lacks something that such a log has ({type(error).__name__}: {error}); "
                "mend or delete it."
            ) from error
    return problems


def _completions(path: Path, texts: Any) -> list[str]:
    """Return completions; null, which servers give for an empty one, is empty."""
    completions = ["" if text is None else text for text in texts or ()]
    if not completions or not all(isinstance(text, str) for text in completions):
        raise ConfigError(f"{path} holds log-likelihoods of given choices, not completions; log a task that generates.")
    return completions


def _harness_problem(path: Path, task: str, record: Mapping[str, Any], metric: str) -> LoggedProblem:
    completions = _completions(path, record["resps"][0] if len(record["resps"]) == 1 else None)
    single = len(completions) == 1
    filtered = record["filtered_resps"][0] if record.get("filtered_resps") else None
    extracted = (
        filtered if single and isinstance(filtered, str) and filtered not in (completions[0], _INVALID) else None
    )
    return LoggedProblem(
        id=f"{task}/{record['doc_id']}",
        prompt=_prompt(_harness_arguments(record)[0]),
        gold=_gold(record.get("target")),
        completions=completions,
        num_tokens=None,
        score=_number(record.get(metric)) if single else None,
        answer=extracted,
    )


def _harness_arguments(record: Mapping[str, Any]) -> list[Any]:
    """Return prompt and settings of the first request; older versions wrote a list where newer ones write mappings."""
    arguments = record["arguments"]
    first = arguments["gen_args_0"] if isinstance(arguments, Mapping) else arguments[0]
    return list(first.values()) if isinstance(first, Mapping) else list(first)


def _harness_sampling(settings: Any = None) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        return {}
    stop = settings.get("until")
    stated = {
        "temperature": 0.0 if settings.get("do_sample") is False else settings.get("temperature"),
        "top_p": settings.get("top_p"),
        "top_k": settings.get("top_k"),
        "max_tokens": settings.get("max_gen_toks"),
        "stop": [stop] if isinstance(stop, str) else stop,
    }
    return {key: value for key, value in stated.items() if value is not None}


def _harness_model(path: Path) -> str | None:
    """Return the model's name from the results file that the harness wrote beside the samples."""
    date = re.search(rf"{_DATE}(?=\.jsonl$)", path.name)
    results = path.with_name(f"results{date[0]}.json") if date else None
    if results is None or not results.is_file():
        return None
    try:
        name = json.loads(results.read_text(encoding="utf-8")).get("model_name")
    except (ValueError, AttributeError):
        return None
    return name if isinstance(name, str) and name else None


def _read_lighteval(path: Path, records: list[dict[str, Any]], metric: str | None) -> SampleLog:
    metrics = (record["metric"] or {} for record in records)
    known = dict.fromkeys(key for found in metrics for key, value in found.items() if value is not None)
    name = _choose_metric(path, [*known], metric)
    task = _task_of(path, "details_")
    problems = _read_each(path, records, lambda record, number: _lighteval_problem(path, task, record, number, name))
    size, stop = (records[0]["doc"].get(key) for key in ("generation_size", "stop_sequences"))
    stated = {"max_tokens": size, "stop": stop or None}
    return SampleLog(
        LIGHTEVAL, task, None, problems, {key: value for key, value in stated.items() if value is not None}
    )


def _lighteval_problem(path: Path, task: str, record: Mapping[str, Any], number: int, metric: str) -> LoggedProblem:
    doc, response = record["doc"], record["model_response"]
    completions = _completions(path, response.get("text"))
    tokens = response.get("output_tokens") or []
    identifier = doc.get("id")
    return LoggedProblem(
        id=f"{task}/{number if identifier in (None, '') else identifier}",
        prompt=_prompt(response.get("input") or doc["query"]),
        gold=_lighteval_gold(doc),
        completions=completions,
        num_tokens=[len(one) for one in tokens] if len(tokens) == len(completions) else None,
        score=_number((record["metric"] or {}).get(metric)) if len(completions) == 1 else None,
    )


def _lighteval_gold(doc: Mapping[str, Any]) -> str | None:
    index = doc.get("gold_index")
    index = index[0] if isinstance(index, list) and index else index
    choices = doc.get("choices") or []
    return str(choices[index]) if isinstance(index, int) and 0 <= index < len(choices) else None


def _choose_filter(path: Path, records: Sequence[Mapping[str, Any]], wanted: str | None) -> str | None:
    names = list(dict.fromkeys(record.get("filter") for record in records))
    if wanted is not None and wanted not in names:
        raise ConfigError(f"{path} has no filter {wanted!r}.{suggest(wanted, map(str, names))}")
    if wanted is None and len(names) > 1:
        raise ConfigError(f"{path} has the filters {', '.join(map(str, names))}; choose one with --filter.")
    return wanted if wanted is not None else names[0]


_USUAL_METRICS = ("exact_match", "extractive_match", "acc")


def _choose_metric(path: Path, names: Sequence[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in names:
            raise ConfigError(f"{path} has no metric {wanted!r}.{suggest(wanted, names)}")
        return wanted
    usual = [name for name in _USUAL_METRICS if name in names]
    if len(names) == 1 or usual:
        return (usual or list(names))[0]
    raise ConfigError(f"{path} has the metrics {', '.join(names) or 'none'}; choose one with --metric.")


def _task_of(path: Path, prefix: str) -> str:
    return re.sub(rf"{_DATE}$", "", path.name.removesuffix(path.suffix)).removeprefix(prefix)


def _prompt(given: Any) -> Prompt:
    return given if isinstance(given, str | list) else str(given)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, bool | int | float) and math.isfinite(value) else None


def _gold(target: Any) -> str | None:
    if isinstance(target, list):
        return ", ".join(map(str, target))
    return str(target) if isinstance(target, str | bool | int | float) else None
