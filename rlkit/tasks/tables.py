"""Rows of a data set: from a local file or folder, or from the Hugging Face hub by its id."""

from __future__ import annotations

import codecs
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

_MARKS = (
    # UTF-32's begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_CELL = 2**27
"""Characters of a cell of a CSV file; Python's own limit of 131,072 is less than some books."""


def find_encoding(path: Path) -> str:
    """Return the encoding that a file's byte order mark announces; UTF-8 where there is none."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "utf-8")


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
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error


def _read_jsonl(path: Path) -> Iterator[Record]:
    with path.open(encoding=find_encoding(path)) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            record = _parse(line, f"Line {number} of {path}", "mend or delete it")
            if not isinstance(record, dict):
                raise ConfigError(f'Line {number} of {path} holds no JSON object; write {{"column": value, ...}}.')
            yield record


def _read_json(path: Path) -> Iterator[Record]:
    text = path.read_text(encoding=find_encoding(path))
    records = _parse(text, str(path), "mend it, or write one object a line and call it .jsonl")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ConfigError(f'{path} holds no list of JSON objects; write [{{"column": value, ...}}, ...].')
    yield from records


def _parse(text: str, place: str, mend: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at]))
            raise ConfigError(f"{place} gives {twice!r} twice in one object; leave one of the two.")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place} is not JSON ({error}); {mend}.") from error


def _read_csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding=find_encoding(path), newline="") as file:
        # Strictly: else a quote that is never closed swallows the rest of the file.
        reader = csv.DictReader(file, strict=True)
        names = list(reader.fieldnames or ())
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ConfigError(f"{path} has two columns {twice!r}; rename one.")
        for record in reader:
            if None in record:
                raise ConfigError(
                    f"Line {reader.line_num} of {path} has {len(names) + len(record[None])} cells, but the first line "
                    f"names {len(names)} columns; put a cell that holds a comma into quotes."
                )
            yield record


def _read_parquet(path: Path) -> Iterator[Record]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        yield from pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise ConfigError(f"{path} cannot be read as parquet: {' '.join(str(error).split())[:200]}.") from error
