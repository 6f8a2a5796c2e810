"""Rows of a data set: from a local file or folder, or from the Hugging Face hub by its id."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError

Record = dict[str, Any]
"""One row of a data set as it is stored."""

SUFFIXES = (".jsonl", ".json", ".parquet", ".csv")


def read_path(path: str, split: str) -> list[Record]:
    """Return the rows of a file, or those of a split in a folder that holds `SPLIT.jsonl`, `SPLIT-*.parquet` or alike.

    Raises:
        ConfigError: there is no such file, it is of another kind, or it cannot be read; names the line.
    """
    place = Path(path).expanduser()
    files = [place] if place.is_file() else split_files(place).get(split, [])
    if not files:
        found = f"it holds {', '.join(split_files(place))}" if split_files(place) else "it holds no data files"
        problem = f"has no split {split!r} ({found})" if place.is_dir() else "does not exist"
        raise ConfigError(f"The data {path} {problem}; name a file of {', '.join(SUFFIXES)} or a folder of them.")
    return [record for file in files for record in read_file(file)]


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Return the data files of a folder, or of `data/` in it, by split: what stands before the first `-` or dot."""
    found: dict[str, list[Path]] = {}
    for place in (folder, folder / "data"):
        for file in sorted(place.iterdir()) if place.is_dir() else []:
            if file.suffix in SUFFIXES:
                found.setdefault(file.stem.split("-")[0], []).append(file)
    return found


def load_hub(name: str, subset: str | None, split: str) -> list[Record]:
    """Return the rows of a split of a data set on the hub, from the local cache where it has been loaded before.

    Raises:
        ConfigError: there is no such data set, subset or split, or the hub cannot be reached.
    """
    import datasets

    # It would announce every attempt to reach the hub; the error says all there is to say.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return [dict(record) for record in datasets.load_dataset(name, subset, split=split)]
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        where = f"{name}{f' ({subset})' if subset else ''}, split {split!r},"
        raise ConfigError(
            f"The data set {where} cannot be loaded from the hub ({type(error).__name__}: {said}); "
            "check its name and the network, or give path: with a local copy."
        ) from error


def read_file(path: Path) -> list[Record]:
    """Return the rows of a data file; raises ConfigError when it is of another kind or cannot be read."""
    readers = {".jsonl": _read_jsonl, ".json": _read_json, ".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise ConfigError(f"{path} is no data file that can be read; write one of {', '.join(SUFFIXES)}.")
    try:
        return list(readers[path.suffix](path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error


def _read_jsonl(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ConfigError(f"Line {number} of {path} is not JSON ({error}); mend or delete it.") from error
            if not isinstance(record, dict):
                raise ConfigError(f'Line {number} of {path} holds no JSON object; write {{"column": value, ...}}.')
            yield record


def _read_json(path: Path) -> Iterator[Record]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{path} is not JSON ({error}); mend it, or write one object a line and call it .jsonl."
        ) from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ConfigError(f'{path} holds no list of JSON objects; write [{{"column": value, ...}}, ...].')
    yield from records


def _read_csv(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _read_parquet(path: Path) -> Iterator[Record]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        yield from pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise ConfigError(f"{path} cannot be read as parquet: {' '.join(str(error).split())[:200]}.") from error
