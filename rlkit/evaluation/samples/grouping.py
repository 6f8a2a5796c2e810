"""Samples by prompt from one pass over a store, which may be larger than the memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.directory import CONFIG, read_config
from rlkit.evaluation.samples.reading import SAMPLES, Record, parse_sample, place_samples

SampleSource = str | Path | Iterable[Mapping[str, Any]]
"""A directory with samples.jsonl, or lines of it."""

MOST_HELD = 1 << 28
"""Characters of completions that wait for the rest of their prompt's; beyond, they are read again when it has come."""


@dataclass
class _Group:
    """The samples of one prompt that were met so far, by number."""

    places: dict[int, int] = field(default_factory=dict)
    """Where each record begins."""
    records: dict[int, Record] = field(default_factory=dict)
    """Those that are held."""


def group_samples(
    source: SampleSource, prompt_ids: Collection[str], most_held: int = MOST_HELD
) -> Iterator[tuple[str, list[Record]]]:
    """Yield each of the prompts that has samples, with its records in order of sample number, each number once.

    A prompt comes as soon as all samples of the configuration are there, what lacks some at the end. So the usual
    store, which holds the samples of a prompt near each other, is read once and hardly held.

    Raises:
        StoreError: there is no such directory, or a line before the last is not a sample.
    """
    wanted = frozenset(prompt_ids)
    if not isinstance(source, str | Path):
        records = [dict(record) for record in source]
        yield from _group(enumerate(records), records.__getitem__, wanted, None, most_held)
        return
    directory = Path(source).expanduser()
    if not directory.is_dir():
        raise StoreError(f"There is no directory {directory}; give the output of rlkit eval.")
    n = read_config(directory)["config"]["n"] if (directory / CONFIG).is_file() else None
    placed = ((at, record) for (_, at), record in place_samples(directory, wanted))
    with contextlib.ExitStack() as opened:

        def read_again(place: int) -> Record:
            if not files:
                files.append(opened.enter_context((directory / SAMPLES).open("rb")))
            files[0].seek(place)
            return parse_sample(files[0].readline(), directory / SAMPLES)

        files: list[Any] = []
        yield from _group(placed, read_again, wanted, n, most_held)


def class_of(record: Mapping[str, Any]) -> str | None:
    """Return the class of a sample's solution: `class`, where the task gives one, else its answer, else None."""
    found = record.get("class")
    return record.get("answer") if found is None else found


def _group(
    placed: Iterable[tuple[int, Record]],
    read_again: Callable[[int], Record],
    wanted: Collection[str],
    n: int | None,
    most_held: int,
) -> Iterator[tuple[str, list[Record]]]:
    groups: dict[str, _Group] = {}
    done: set[str] = set()
    held = 0

    def finish(prompt_id: str) -> tuple[str, list[Record]]:
        group = groups.pop(prompt_id)
        ordered = ((number, group.places[number]) for number in sorted(group.places))
        return prompt_id, [group.records.get(number) or read_again(place) for number, place in ordered]

    for place, record in placed:
        prompt_id, number = record["prompt_id"], record["sample"]
        if prompt_id not in wanted or prompt_id in done:
            continue
        group = groups.setdefault(prompt_id, _Group())
        if number in group.places:
            continue
        group.places[number], group.records[number] = place, record
        held += len(record.get("completion", ""))
        if len(group.places) == n:
            held -= sum(len(each.get("completion", "")) for each in group.records.values())
            done.add(prompt_id)
            yield finish(prompt_id)
        elif held > most_held:
            held = 0
            for each in groups.values():
                each.records.clear()
    for prompt_id in [*groups]:
        yield finish(prompt_id)
