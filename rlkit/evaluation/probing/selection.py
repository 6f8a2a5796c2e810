"""Which stored samples of an evaluation are looked at again, and what it says of the model that drew them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, StoreError
from rlkit.evaluation.directory import find_evaluation, read_config, read_report
from rlkit.evaluation.engines.encoding import encode_prompts
from rlkit.evaluation.probing.policy import Policy
from rlkit.evaluation.samples.reading import Record, read_samples
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.types import Row


@dataclass(frozen=True)
class Selection:
    """Some prompts of an evaluation directory, each with its first stored samples."""

    directory: Path
    name: str
    model: str
    """As the user named it."""
    adapter: str | None
    """Directory of a LoRA adapter on the model."""
    sampling: SamplingConfig
    chat: Mapping[str, Any]
    """How chat prompts were put to the model, where not by the tokenizer's template alone."""
    all_rows: list[Row]
    """`id` and `prompt` of every problem, in the order of the report."""
    rows: list[Row]
    """The selected ones."""
    records: list[Record]
    """Lines of samples.jsonl of the selected prompts, at most so many a prompt as were asked for."""


def select_samples(directory: str | Path, limit: int | None, samples_per_prompt: int) -> Selection:
    """Return the first `limit` prompts of an evaluation (all for None) and the first samples of each.

    Raises:
        ConfigError: a number below 1.
        StoreError: no finished evaluation with samples is there.
    """
    for name, number in (("limit", limit), ("samples per prompt", samples_per_prompt)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} was given as {number}; write at least 1.")
    path = find_evaluation(directory)
    config, report = read_config(path)["config"], read_report(path)
    rows = [{"id": problem["id"], "prompt": problem["prompt"]} for problem in report["problems"]]
    selected = rows[:limit]
    records = _first_records(path, {row["id"] for row in selected}, samples_per_prompt)
    if not records:
        raise StoreError(f"{path} holds no samples of its prompts; run rlkit eval again.")
    return Selection(
        directory=path,
        name=str(report["name"]),
        model=config["model"],
        adapter=config.get("adapter"),
        sampling=SamplingConfig.from_mapping(config["sampling"]),
        chat=config.get("chat") or {},
        all_rows=rows,
        rows=selected,
        records=records,
    )


def encode_selected(selection: Selection, policy: Policy, rows: Sequence[Row]) -> list[list[int]]:
    """Return the token ids of prompts, as they were put to the model that drew the samples.

    Raises:
        ConfigError: they cannot be put to this model, or were put with another template than its own.
    """
    if selection.chat:
        raise ConfigError(
            f"The samples in {selection.directory} were drawn with chat settings ({', '.join(selection.chat)}), which "
            "cannot be repeated here; probe an evaluation without them."
        )
    return encode_prompts(policy.tokenizer, rows, policy.context)


def restrict(selection: Selection, rows: list[Row]) -> list[Record]:
    """Return the selection's records of those prompts that also are among `rows`, with the same text."""
    prompts = {row["id"]: row["prompt"] for row in rows}
    shared = {row["id"] for row in selection.rows if prompts.get(row["id"]) == row["prompt"]}
    return [record for record in selection.records if record["prompt_id"] in shared]


def _first_records(path: Path, prompt_ids: set[str], count: int) -> list[Record]:
    found: dict[str, dict[int, Record]] = {}
    for record in read_samples(path, prompt_ids):
        found.setdefault(record["prompt_id"], {}).setdefault(record["sample"], record)
    return [of[number] for of in found.values() for number in sorted(of)[:count]]
