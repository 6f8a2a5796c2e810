"""Files that a crash cannot tear, and directories that one process at a time writes in.

One guarantee for whatever rlkit writes and reads again. A file that is replaced is, after a kill or a power cut, the
old one or the new one, whole. Lines that were appended are on the disk when the call returns; a kill in the middle of
one leaves a torn last line, which readers pass over and the next append cuts off. What the disk refuses is a
StoreError, and what was there is kept. A lock dies with its process; where a file system knows no locks, nobody is
kept out.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError

LOCK = ".lock"


def write_text(path: Path, text: str) -> None:
    """Put a text in the place of a file."""
    with replacing(path, [text]) as put_in_place:
        put_in_place()


def write_json(path: Path, value: Mapping[str, Any], indent: int | None = 1) -> None:
    """Put JSON in the place of a file; NaN is refused, as JSON has none."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file; raises StoreError when it is missing or none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    except FileNotFoundError as error:
        raise StoreError(f"There is no {path.name} in {path.parent}; is it what rlkit wrote?") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise StoreError(f"{path} holds no JSON object.")
    return value


def refuse_constant(word: str) -> None:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(f"{word} is no JSON")


@contextlib.contextmanager
def replacing(path: Path, texts: Iterable[str]) -> Iterator[Callable[[], None]]:
    """Write texts beside a file, and give what puts them in its place.

    Until that is called, and whatever happens before, the file is what it was. Half a surrogate pair, which no encoding
    has, becomes a question mark.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        with as_store_error(path), draft.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(texts)
            file.flush()
            os.fsync(file.fileno())
        yield lambda: _put_in_place(draft, path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines, each with its newline, to a file."""
    with LineFile(path) as file:
        file.append(lines)


class LineFile:
    """A file that lines are appended to; a context manager that holds it open, its torn last line cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> LineFile:
        """Open or create the file."""
        with as_store_error(self._path):
            # Unbuffered, as a buffer that a full disk did not take would be tried again when the file is closed.
            self._file = self._path.open("ab", buffering=0)
            _cut_torn_line(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()

    def append(self, lines: Iterable[str]) -> None:
        """Write lines, each with its newline, at once and to the disk."""
        unwritten = memoryview("".join(lines).encode("utf-8", errors="replace"))
        with as_store_error(self._path):
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
            os.fsync(self._file.fileno())


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other process from writing in a directory for as long as the block runs.

    Raises:
        StoreError: another process is writing there.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(directory / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"{directory} is being written by another process; wait for it, or choose another output."
        ) from error
    except (OSError, NotImplementedError):
        # Some file systems know no locks, and one that cannot be written needs none.
        yield
        return
    try:
        yield
    finally:
        lock.release()


def is_ours(name: str) -> bool:
    """Return whether a file is one that this module leaves behind: the lock, or a draft that a kill cut short."""
    return name == LOCK or (name.startswith(".") and name.endswith(".part"))


@contextlib.contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; what is in it is kept.") from error


def _put_in_place(draft: Path, path: Path) -> None:
    with as_store_error(path):
        os.replace(draft, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            # Without this a power cut may bring the old name back; some network file systems cannot do it.
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
