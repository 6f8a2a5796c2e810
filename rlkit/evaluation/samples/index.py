"""Samples by prompt, read one prompt at a time: what a store holds may be larger than the memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.samples.reading import SAMPLES, Record, parse_sample, place_samples

SampleSource = str | Path | Iterable[Mapping[str, Any]]
"""A directory with samples.jsonl, or lines of it."""


@dataclass(frozen=True)
class SampleIndex:
    """Where the samples of each prompt are; of a store it holds 16 bytes a sample."""

    places: Mapping[str, tuple[array[int], array[int]]]
    """Sample numbers of each prompt and where their records begin, in the order of the source."""
    fetch: Callable[[int], Record]
    """Reads the record at a place."""
    has_classes: bool
    """Whether any sample has a class or an answer: of a task without them, nothing is known of classes."""

    def read(self, prompt_id: str) -> list[Record]:
        """Return the records of a prompt in order of sample number, each number once; empty when it has none."""
        first: dict[int, int] = {}
        for sample, place in zip(*self.places.get(prompt_id, ((), ())), strict=True):
            first.setdefault(sample, place)
        return [self.fetch(first[sample]) for sample in sorted(first)]


def index_samples(source: SampleSource, prompt_ids: Collection[str]) -> SampleIndex:
    """Go through the samples once and note where those of the prompts are.

    Raises:
        StoreError: there is no such directory, or a line before the last is not a sample.
    """
    if not isinstance(source, str | Path):
        records = [dict(record) for record in source]
        return _index(enumerate(records), records.__getitem__, prompt_ids)
    directory = Path(source).expanduser()
    if not directory.is_dir():
        raise StoreError(f"There is no directory {directory}; give the output of rlkit eval.")
    path = directory / SAMPLES
    placed = ((at, record) for (_, at), record in place_samples(directory, prompt_ids))
    return _index(placed, lambda place: _read_at(path, place), prompt_ids)


def class_of(record: Mapping[str, Any]) -> str | None:
    """Return the class of a sample's solution: `class`, where the task gives one, else its answer, else None."""
    found = record.get("class")
    return record.get("answer") if found is None else found


def _index(
    placed: Iterable[tuple[int, Record]], fetch: Callable[[int], Record], prompt_ids: Collection[str]
) -> SampleIndex:
    places = {prompt_id: (array("q"), array("q")) for prompt_id in prompt_ids}
    has_classes = False
    for place, record in placed:
        if record["prompt_id"] in places:
            samples, where = places[record["prompt_id"]]
            samples.append(record["sample"])
            where.append(place)
            has_classes = has_classes or class_of(record) is not None
    return SampleIndex(places, fetch, has_classes)


def _read_at(path: Path, offset: int) -> Record:
    with path.open("rb") as file:
        file.seek(offset)
        return parse_sample(file.readline(), path)
