"""The one reader of samples.jsonl: every line is checked, whoever reads it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.directory import CONFIG, read_config
from rlkit.files import refuse_constant
from rlkit.parameters import show

SAMPLES = "samples.jsonl"

Record = dict[str, Any]
"""One line of samples.jsonl."""

_NUMBER, _TEXT, _NONE = (int, float), (str,), (type(None),)
_FIELDS: Mapping[str, tuple[type, ...]] = {
    "prompt_id": _TEXT,
    "sample": (int,),
    "completion": _TEXT,
    "num_tokens": _NUMBER + _NONE,
    "finish_reason": _TEXT + _NONE,
    "logp_sum": _NUMBER + _NONE,
    "logp_mean": _NUMBER + _NONE,
    "entropy_mean": _NUMBER + _NONE,
    "correct": (bool, *_NONE),
    "label": _TEXT,
    "answer": _TEXT + _NONE,
    "class": _TEXT + _NONE,
}
"""What a sample holds; older stores lack some of what may be None."""
_NUMBERS = ("sample", "num_tokens", "logp_sum", "logp_mean", "entropy_mean")
_NOT_NEGATIVE = ("sample", "num_tokens")
_LARGEST = 1e12
"""Of any number in a sample; also keeps out infinity, which JSON can spell as 1e999."""
_MOST_SHAPES = 256
_OPTIONAL = [name for name, kinds in _FIELDS.items() if kinds[-1] is type(None)]

_DECODER = json.JSONDecoder(parse_constant=refuse_constant)
"""Kept, as `json.loads` builds one for every call that is told what to refuse."""

_right_shapes: set[tuple[object, ...]] = set()
"""Names and types of whole records in which nothing was amiss: of the next of the kind only numbers are checked."""

_START = b'{"prompt_id": '


def read_samples(directory: str | Path, prompt_ids: Collection[str] | None = None) -> Iterator[Record]:
    """Yield the samples of a directory, of some prompts only where those are named; a torn last line is passed over.

    Raises:
        StoreError: a line before the last is not a sample.
    """
    return (record for _, record in place_samples(directory, prompt_ids))


def place_samples(
    directory: str | Path, prompt_ids: Collection[str] | None = None
) -> Iterator[tuple[tuple[int, int], Record]]:
    """Yield each sample as `read_samples`, after the number and the first byte of its line."""
    path = Path(directory) / SAMPLES
    if not path.is_file():
        return
    at, n = 0, read_config(directory)["config"]["n"] if (Path(directory) / CONFIG).is_file() else None
    known: dict[bytes, bool] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            # Parsing is the cost of a large store; the id stands first in a line, so most need not be parsed whole.
            if prompt_ids is None or _may_be_of(line, prompt_ids, known):
                record = parse_sample(line, path, number, n)
                if prompt_ids is None or record["prompt_id"] in prompt_ids:
                    yield (number, at), record
            at += len(line)


def parse_sample(line: bytes, path: Path, number: int = 0, n: int | None = None) -> Record:
    """Return the sample on a line, every field in it; what an older version called `verdict` is its label.

    Args:
        line: with its newline.
        path: the file, for the error.
        number: of the line, for the error.
        n: samples a prompt; None where it is not known.

    Raises:
        StoreError: it is none, or one of its fields holds what cannot be in it.
    """
    usual = _parse_usual(line, n)
    if usual is not None:
        return usual
    try:
        record = json.loads(line, parse_constant=refuse_constant)
        if "verdict" in record:
            record.setdefault("label", record.pop("verdict"))
        fault = _find_fault(record) or (
            f"its sample is {record['sample']}, of 0 to {n - 1}" if n is not None and record["sample"] >= n else None
        )
    except (ValueError, AttributeError, TypeError, RecursionError):
        fault = "it is no JSON object"
    if fault:
        raise StoreError(
            f"Line {number} of {path} is not a sample: {fault}; delete it, and the same command draws it anew."
        )
    if record.keys() == _FIELDS.keys() and len(_right_shapes) < _MOST_SHAPES:
        _right_shapes.add(_shape_of(record))
    for name in _OPTIONAL:
        record.setdefault(name, None)
    if b"\\ud" in line.lower():
        record = _replace_halves(record)
    sample: Record = record
    return sample


def _parse_usual(line: bytes, n: int | None) -> Record | None:
    """Return what `parse_sample` gives of a line like one that was read before; None where it must look closer."""
    try:
        record: Any = _DECODER.decode(line.decode("utf-8"))
        if type(record) is not dict or _shape_of(record) not in _right_shapes:
            return None
    except (ValueError, RecursionError):
        return None
    numbers = [value for name in _NUMBERS if (value := record[name]) is not None]
    in_range = min(numbers) >= -_LARGEST and max(numbers) <= _LARGEST
    not_negative = record["sample"] >= 0 and (record["num_tokens"] or 0) >= 0
    # Escapes can hold half a surrogate pair.
    is_usual = in_range and not_negative and b"\\u" not in line and (n is None or record["sample"] < n)
    return record if is_usual else None


def _shape_of(record: Record) -> tuple[object, ...]:
    return (*record, *map(type, record.values()))


def format_sample(record: Mapping[str, Any]) -> str:
    """Return the line of samples.jsonl that a record is written as."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _find_fault(record: Mapping[str, Any]) -> str | None:
    for name, kinds in _FIELDS.items():
        value = record.get(name)
        # To Python, True is a number.
        if not isinstance(value, kinds) or (isinstance(value, bool) and name in _NUMBERS):
            return f"its {name} is {show(value)}" if name in record else f"it has no {name}"
        if isinstance(value, int | float) and name in _NUMBERS and not _is_in_range(name, value):
            return f"its {name} is {show(value)}"
    return None


def _is_in_range(name: str, value: float) -> bool:
    return bool((0 if name in _NOT_NEGATIVE else -_LARGEST) <= value <= _LARGEST)


def _may_be_of(line: bytes, prompt_ids: Collection[str], known: dict[bytes, bool]) -> bool:
    """Return whether a line may be of the prompts; `known` remembers what was found of an id as it is written."""
    end = line.find(b'", "', len(_START))
    if end < 0 or not line.startswith(_START):
        return True
    written = line[len(_START) : end + 1]
    found = known.get(written)
    if found is None:
        try:
            found = json.loads(written) in prompt_ids
        except ValueError:
            found = True
        known[written] = found
    return found


def _replace_halves(record: Mapping[str, Any]) -> Record:
    """Return a record in which half a surrogate pair, which no encoding has, is a question mark."""
    return {
        name: value.encode("utf-8", errors="replace").decode() if isinstance(value, str) else value
        for name, value in record.items()
    }
