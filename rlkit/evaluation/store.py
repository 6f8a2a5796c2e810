"""A directory of samples that only ever grows, survives `kill -9` and refuses to mix two configurations.

    DIR/config.json     the configuration and its digest, written before the first sample, and the grader apart from it
    DIR/samples.jsonl   one graded sample a line, appended in whole batches
    DIR/report.json     metrics, recomputed from the samples

A kill in the middle of a write leaves a torn last line; it is cut off when the directory is opened again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType, UnionType
from typing import IO, Any

from rlkit.errors import StoreError
from rlkit.evaluation.configuration import EvaluationConfig, differences
from rlkit.evaluation.engines.contract import SampleKey

CONFIG, SAMPLES, REPORT, _LOCK = "config.json", "samples.jsonl", "report.json", ".lock"

VERDICTS, CLASSES = "verdicts", "classes"
"""What config.json calls `pending` while samples.jsonl is replaced."""

Record = dict[str, Any]
"""One line of samples.jsonl."""


_NUMBERS = ("sample", "num_tokens", "logp_sum", "logp_mean", "entropy_mean")
_FIELDS: Mapping[str, type | UnionType] = {
    "prompt_id": str,
    "sample": int,
    "completion": str,
    "num_tokens": int | float | None,
    "finish_reason": str | None,
    "logp_sum": int | float | None,
    "logp_mean": int | float | None,
    "entropy_mean": int | float | None,
    "correct": bool | None,
    "verdict": str,
    "answer": str | None,
    "class": str | None,
}
"""What a sample holds; older stores lack some of what may be None."""


class SampleStore:
    """The samples of one configuration; one process at a time may have it open."""

    def __init__(self, path: str | Path, config: EvaluationConfig, grader: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path).expanduser()
        self.config, self.grader = config, grader
        self.done: set[SampleKey] = set()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> SampleStore:
        """Lock the directory, check that it is ours, and find what is already done.

        Raises:
            StoreError: another process writes here, or the directory holds another evaluation or something else.
        """
        check_directory(self.path, self.config)
        with as_store_error(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._open.enter_context(locked(self.path))
            # Only now is nobody else writing: what was checked above may have been created in between.
            check_directory(self.path, self.config)
            if not self._has_header():
                write_json(self.path / CONFIG, self._header())
            self._file = self._open.enter_context((self.path / SAMPLES).open("ab", buffering=0))
            _cut_torn_line(self.path / SAMPLES)
        self.done.update((record["prompt_id"], record["sample"]) for record in read_samples(self.path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file and release the lock."""
        self._open.close()

    def _has_header(self) -> bool:
        if not (self.path / CONFIG).is_file():
            return False
        stored = read_config(self.path)
        # Without samples nothing has been graded, and the grader is whoever comes now.
        is_empty = next(read_samples(self.path), None) is None
        return stored["hash"] == self.config.digest and not (is_empty and stored != self._header())

    def _header(self) -> dict[str, Any]:
        header = {"hash": self.config.digest, "config": self.config.as_json()}
        return header if self.grader is None else header | {"grader": dict(self.grader)}

    def append(self, records: Sequence[Record]) -> None:
        """Write a batch at once and to disk; samples that are already there are left out.

        Raises:
            StoreError: the disk is full or cannot be written.
        """
        new = [record for record in records if (record["prompt_id"], record["sample"]) not in self.done]
        lines = "".join(map(_as_line, new))
        with as_store_error(self.path):
            unwritten = memoryview(lines.encode("utf-8", errors="replace"))
            # Unbuffered, as a buffer that a full disk did not take would be tried again when the file is closed.
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
            os.fsync(self._file.fileno())
        self.done.update((record["prompt_id"], record["sample"]) for record in new)


def check_directory(path: str | Path, config: EvaluationConfig) -> None:
    """Check, without changing anything, that an evaluation of this configuration may be written or continued here.

    Raises:
        StoreError: the directory is a file, holds another evaluation, or holds something else.
    """
    path = Path(path).expanduser()
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path} is a file; the output of an evaluation is a directory.")
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if CONFIG not in names:
        others = sorted(names - {_LOCK})
        if others:
            raise StoreError(f"{path} holds {others[0]!r} but no evaluation; choose an empty or new directory.")
        return
    stored = read_config(path)
    # A first attempt that failed before its first sample, on a mistyped model say, must not block the mended command.
    if stored["hash"] != config.digest and next(read_samples(path), None) is not None:
        different = differences(stored["config"], config.as_json()) or ["the configuration was edited"]
        more = f" (and {len(different) - 3} more)" if len(different) > 3 else ""
        raise StoreError(
            f"{path} holds another evaluation: {', '.join(different[:3])}{more}; choose another output, or delete it."
        )


def read_config(path: str | Path) -> dict[str, Any]:
    """Return config.json of a sample directory: `{"hash": ..., "config": {...}}`; raises StoreError when unreadable."""
    config = read_json(Path(path) / CONFIG)
    if not isinstance(config.get("hash"), str) or not isinstance(config.get("config"), Mapping):
        raise StoreError(f"{Path(path) / CONFIG} is not the configuration of an evaluation; choose another directory.")
    return config


def read_samples(path: str | Path) -> Iterator[Record]:
    """Yield the complete lines of samples.jsonl; a torn last one is passed over.

    Raises:
        StoreError: a line before the last is not a sample.
    """
    file_path = Path(path) / SAMPLES
    if not file_path.is_file():
        return
    with file_path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            record = _read_record(line)
            if record is None:
                raise StoreError(
                    f"Line {number} of {file_path} is not a sample; delete it, and the same command draws it anew."
                )
            yield record


def _read_record(line: bytes) -> Record | None:
    """Return the sample on a line; None where it is none, or one of its fields holds what cannot be in it."""
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
        is_sample = all(isinstance(record.get(name), kinds) for name, kinds in _FIELDS.items())
    except (ValueError, AttributeError):
        return None
    # To Python, True is a number.
    is_sample = is_sample and not any(isinstance(record.get(name), bool) for name in _NUMBERS)
    return record if is_sample else None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file; raises StoreError when it is missing or none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"There is no {path.name} in {path.parent}; is it the output of rlkit eval?") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise StoreError(f"{path} holds no JSON object.")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file in one step that a crash cannot tear; NaN is refused, as JSON has none."""
    draft = path.with_name(f".{path.name}.part")
    with as_store_error(path.parent):
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        with draft.open("w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            replace_file(file, draft, path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process from writing in a sample directory.

    Raises:
        StoreError: another process is writing there.
    """
    # The kernel drops this lock with the process, however it ends.
    with (path / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{path} is being written by another process; wait for it, or choose another output."
            ) from error
        yield


@contextlib.contextmanager
def _write_samples(path: Path, records: Iterable[Record]) -> Iterator[Callable[[], None]]:
    """Write all lines of samples.jsonl beside it, and give what puts them in its place; the caller holds the lock.

    Until that is called, and whatever happens before, the old lines are there; the draft goes when it is not called.
    """
    draft = path / f".{SAMPLES}.part"
    try:
        with draft.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(_as_line(record) for record in records)
            yield lambda: replace_file(file, draft, path / SAMPLES)
    finally:
        draft.unlink(missing_ok=True)


def replace_graded(
    path: Path, header: Mapping[str, Any], grader: Mapping[str, Any], records: Iterator[Record], what: str = VERDICTS
) -> None:
    """Put records in the place of those that are there, and their grader into config.json; the caller holds the lock.

    Args:
        path: sample directory.
        header: what config.json holds, or is to hold.
        grader: see `describe_grader`.
        records: all lines of samples.jsonl; may be read from the file that is replaced.
        what: `verdicts` or `classes`, of which a kill at the wrong moment leaves it open whose they are.
    """
    with _write_samples(path, records) as put_in_place:
        write_json(path / CONFIG, {**header, "grader": {**grader, "pending": what}})
        put_in_place()
    write_json(path / CONFIG, {**header, "grader": dict(grader)})


def _as_line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def replace_file(file: IO[Any], draft: Path, path: Path) -> None:
    """Put a draft, which is still open, in the place of a file: after a crash there is one or the other, whole."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(draft, path)


@contextlib.contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; what is in it is kept.") from error


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
