"""Where rows to learn come from: files, the hub, an archive of solutions, the samples of an evaluation.

    load_data("rows.jsonl")
    load_data({"name": "evaluation", "path": "runs/base", "take": "wrong"})

Each source is a small frozen dataclass with `load()`; its fields are what a recipe may say beside `name`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_choice, check_text, show
from rlkit.recipe.fields import check_fields
from rlkit.tasks.demonstrations import Columns, Demonstration, read_demonstrations
from rlkit.tasks.tables import load_hub, read_path
from rlkit.types import PluginSpec, Row


@dataclasses.dataclass(frozen=True)
class _Table(Columns):
    split: str = "train"

    @property
    def columns(self) -> Columns:
        return Columns(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Columns)})


@dataclasses.dataclass(frozen=True)
class FileRows(_Table):
    """Rows of a file (.jsonl, .json, .parquet, .csv), or of a split in a folder of such."""

    name: ClassVar[str] = "jsonl"
    path: str = ""

    def load(self) -> list[Demonstration]:
        """Return the rows; raises ConfigError, naming line or row."""
        check_text("data", "path", self.path)
        return list(read_demonstrations(read_path(self.path, self.split), self.path, self.columns))


@dataclasses.dataclass(frozen=True)
class HubRows(_Table):
    """Rows of a split of a data set on the Hugging Face hub."""

    name: ClassVar[str] = "hub"
    hub: str = ""
    """Its id, `owner/name`."""
    subset: str | None = None

    def load(self) -> list[Demonstration]:
        """Return the rows; raises ConfigError where there are none to be had, naming the row where one is wrong."""
        check_text("data", "hub", self.hub)
        return list(read_demonstrations(load_hub(self.hub, self.subset, self.split), self.hub, self.columns))


@dataclasses.dataclass(frozen=True)
class SampledRows:
    """Samples of an evaluation directory, as often as they were drawn: the correct ones, or the wrong ones."""

    name: ClassVar[str] = "evaluation"
    path: str = ""
    take: str = "correct"
    """`correct` or `wrong`; samples that could not be graded, and those cut by the length limit, are neither."""
    task: PluginSpec | None = None
    """Whose prompts they answer; None takes the task that the directory names, unless that is code."""

    def load(self) -> list[Demonstration]:
        """Return the samples with their prompts and log-probs; raises ConfigError or StoreError."""
        from rlkit.evaluation.directory import find_evaluation
        from rlkit.evaluation.samples.reading import read_samples

        check_text("data", "path", self.path)
        check_choice("data", "take", self.take, ("correct", "wrong"))
        directory = find_evaluation(self.path)
        rows = {row["id"]: row for row in _prompts_of(directory, self.task)}
        return list(self._take(read_samples(directory, rows.keys()), rows, directory))

    def _take(
        self, samples: Iterator[Mapping[str, Any]], rows: Mapping[str, Row], directory: Path
    ) -> Iterator[Demonstration]:
        wanted = self.take == "correct"
        for sample in samples:
            if sample["correct"] is not wanted or sample["finish_reason"] == "length" or not sample["completion"]:
                continue
            place = f"Sample {sample['sample']} of {sample['prompt_id']} in {directory}"
            prompt = rows[sample["prompt_id"]]["prompt"]
            yield Demonstration(prompt, sample["completion"], 1.0, sample["logp_sum"], place)


@dataclasses.dataclass(frozen=True)
class ArchiveRows:
    """Distinct correct solutions of an archive, one row each."""

    name: ClassVar[str] = "archive"
    path: str = ""
    weights: str | None = None
    """How much each solution counts, by a rule of `rlkit.archive.WEIGHTS`; None takes the archive's, else `equal`."""
    per_problem: int | None = None
    """Most rows a problem; None takes the archive's default, else all."""
    capacity: int | None = None
    """Most solutions a problem that count as there; None counts all."""
    seed: int = 0
    """Of which solutions are taken where there are more than may be."""

    def load(self) -> list[Demonstration]:
        """Return the rows, weights with mean 1; raises StoreError where the archive cannot be read."""
        from rlkit.archive import Archive

        check_text("data", "path", self.path)
        rows = Archive.open(self.path).rows(self.per_problem, self.weights, self.capacity, self.seed)
        return [
            Demonstration(row.prompt, row.completion, row.weight, None, f"Solution {row.key!r} of {row.problem}")
            for row in rows
        ]


def _prompts_of(directory: Path, named: PluginSpec | None) -> list[Row]:
    from rlkit.evaluation.directory import read_config
    from rlkit.plugins import find_code
    from rlkit.tasks import resolve_task
    from rlkit.tasks.rows import load_rows

    config = read_config(directory)["config"]
    spec = config["task"] if named is None else named
    if named is None and (code := find_code(spec)):
        raise ConfigError(f"{directory} names {code!r}, which is code; if you trust it, write task: under data.")
    return load_rows(resolve_task(spec), config["split"])[: config.get("limit")]


SOURCES: dict[str, type[Any]] = {source.name: source for source in (FileRows, HubRows, ArchiveRows, SampledRows)}
"""Sources by the name that a recipe gives them."""


def resolve_data(spec: PluginSpec, key: str = "data") -> Any:
    """Return the source that a recipe names; nothing is read yet.

    Args:
        spec: a file, or {name: ..., parameter: ...}.
        key: of the recipe, for messages.

    Raises:
        ConfigError: no such source, or a parameter that it does not have.
    """
    if isinstance(spec, str):
        return FileRows(path=spec)
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise ConfigError(f"{key} was given as {show(spec)}; write a file, or {{name: {' | '.join(SOURCES)}, ...}}.")
    if spec["name"] not in SOURCES:
        raise ConfigError(f"{key} names {spec['name']!r}.{suggest(spec['name'], SOURCES)}")
    source = SOURCES[spec["name"]]
    return source(**check_fields({name: value for name, value in spec.items() if name != "name"}, source, key))


def load_data(spec: PluginSpec, key: str = "data") -> list[Demonstration]:
    """Return the rows of the source that a recipe names.

    Raises:
        ConfigError: there is no such source, it has no rows, or one of them cannot be learnt.
        StoreError: an archive or evaluation cannot be read.
    """
    rows: list[Demonstration] = resolve_data(spec, key).load()
    if not rows:
        raise ConfigError(f"{key} {show(spec)} has no rows; name others.")
    return rows
