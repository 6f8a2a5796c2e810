"""Lines of samples.jsonl as a stream, of some problems only."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

_START = '{"prompt_id": '
_DECODER = json.JSONDecoder()


def stream_samples(path: Path, problem_ids: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the samples of the given problems in the order of the file; nothing when the file is missing.

    Lines that are not JSON objects, such as one that a kill cut short, are skipped.
    """
    if not path.is_file() or not problem_ids:
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            # Parsing is the cost of a large store; the id stands first in a line, so most need not be parsed whole.
            if line.startswith(_START) and _first_value(line) not in problem_ids:
                continue
            sample = _parse(line)
            if sample.get("prompt_id") in problem_ids:
                yield sample


def _first_value(line: str) -> Any:
    try:
        return _DECODER.raw_decode(line, len(_START))[0]
    except ValueError:
        return None


def _parse(line: str) -> Mapping[str, Any]:
    try:
        sample = json.loads(line)
    except ValueError:
        return {}
    return sample if isinstance(sample, dict) else {}
