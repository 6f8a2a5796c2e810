"""The directory that a merge writes: whole, or not there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, StoreError
from rlkit.files import as_store_error, locked, read_json
from rlkit.weights.sources import Source

RECORD = "merge.json"
"""What a merge says of itself; a directory with it may be overwritten."""
_COPIED = (
    *("generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt"),
    *("*.jinja", "chat_template.json", "*.model", "*.tiktoken", "preprocessor_config.json", "processor_config.json"),
)
"""What a model directory holds beside config and weights."""


def check_output(output: Path, sources: tuple[Source, ...], overwrite: bool = False) -> None:
    """Refuse an output in which something lies, or that is in the way of what is read.

    Raises:
        StoreError: the output exists and is no earlier merge, or is one and `overwrite` is not given.
        ConfigError: the output is one of the sources, or a directory around or in one.
    """
    here = output.resolve()
    for source in sources:
        there = source.folder.resolve()
        if here == there or here in there.parents or there in here.parents:
            raise ConfigError(f"The output {output} and the model {source.name} are in one another; choose another.")
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir() or output.is_symlink():
        raise StoreError(f"{output} is no directory; a merged model is one, so choose another output.")
    if not any(output.iterdir()):
        return
    if not (output / RECORD).is_file():
        raise StoreError(f"{output} holds something that rlkit merge did not write; choose an empty or new directory.")
    if not overwrite:
        raise StoreError(f"{output} holds a merged model; choose another output, or give --overwrite to replace it.")


@contextlib.contextmanager
def new_directory(output: Path) -> Iterator[Path]:
    """Give a hidden directory to write in, which takes the place of `output` when the block ends without an error.

    A kill leaves the hidden one behind, which the next merge to this output clears.

    Raises:
        StoreError: another process is writing there, or the disk refuses.
    """
    # `.` and `..` have no name of their own.
    output = output.resolve()
    beside = output.parent / f".{output.name}.part"
    with as_store_error(output):
        beside.mkdir(parents=True, exist_ok=True)
    with locked(beside):
        draft, aside = beside / "new", beside / "old"
        try:
            with as_store_error(output):
                _put_back(aside, output)
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir()
            yield draft
            with as_store_error(output):
                _put_in_place(draft, output, aside)
        finally:
            _put_back(aside, output)
            shutil.rmtree(beside, ignore_errors=True)


def copy_beside(folder: Path, target: Path) -> None:
    """Copy what a model needs beside its weights and its configuration."""
    for path in sorted({path for pattern in _COPIED for path in folder.glob(pattern) if path.is_file()}):
        with as_store_error(target):
            shutil.copyfile(path, target / path.name)


def write_last(path: Path, value: dict[str, Any]) -> None:
    """Write JSON as the libraries do, and to the disk."""
    with as_store_error(path), path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_record(output: Path) -> dict[str, Any]:
    """Return what a merge in a directory says of itself; empty where there is none."""
    path = output / RECORD
    return read_json(path) if path.is_file() else {}


def _put_in_place(draft: Path, output: Path, aside: Path) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    if output.exists():
        os.replace(output, aside)
    os.replace(draft, output)


def _put_back(aside: Path, output: Path) -> None:
    """Undo what was begun: a model was put aside, and another has not taken its place."""
    if aside.exists() and not output.exists():
        os.replace(aside, output)
