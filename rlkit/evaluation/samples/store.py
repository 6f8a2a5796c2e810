"""A directory of samples that only ever grows, survives `kill -9` and refuses to mix two configurations.

DIR/config.json     the configuration and its digest, written before the first sample, and the grader apart from it
DIR/samples.jsonl   one graded sample a line, appended in whole batches
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.configuration import EvaluationConfig, differences
from rlkit.evaluation.directory import CONFIG, LABELS, read_config
from rlkit.evaluation.engines.contract import SampleKey
from rlkit.evaluation.samples.reading import SAMPLES, Record, format_sample, read_samples
from rlkit.files import LineFile, as_store_error, is_ours, locked, replacing, write_json


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
        with contextlib.ExitStack() as opening:
            opening.enter_context(locked(self.path))
            # Only now is nobody else writing: what was checked above may have been created in between.
            check_directory(self.path, self.config)
            if not self._has_header():
                write_json(self.path / CONFIG, self._header())
            self._file = opening.enter_context(LineFile(self.path / SAMPLES))
            self.done.update(map(key_of, read_samples(self.path)))
            self._open = opening.pop_all()
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
        new = [record for record in records if key_of(record) not in self.done]
        self._file.append(map(format_sample, new))
        self.done.update(map(key_of, new))


def key_of(record: Mapping[str, Any]) -> SampleKey:
    """Return which sample of which prompt a record is."""
    return (record["prompt_id"], record["sample"])


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
        others = sorted(name for name in names if not is_ours(name))
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


@contextlib.contextmanager
def replacing_graded(
    path: Path, header: Mapping[str, Any], grader: Mapping[str, Any], records: Iterable[Record], what: str = LABELS
) -> Iterator[None]:
    """Put records in the place of those that are there, and their grader into config.json; the caller holds the lock.

    Until the block ends, in which the caller writes the report anew, config.json calls `what` pending: whoever finds
    that word after a kill knows that samples and report may be of two graders.

    Args:
        path: sample directory.
        header: what config.json holds, or is to hold.
        grader: see `describe_grader`.
        records: all lines of samples.jsonl; may be read from the file that is replaced.
        what: `labels` or `classes`.
    """
    with replacing(path / SAMPLES, map(format_sample, records)) as put_in_place:
        write_json(path / CONFIG, {**header, "grader": {**grader, "pending": what}})
        put_in_place()
    yield
    write_json(path / CONFIG, {**header, "grader": dict(grader)})
