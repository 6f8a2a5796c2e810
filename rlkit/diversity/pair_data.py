"""Labelled pairs of texts: read from a file, and split so that nothing is in two parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.diversity.closure import label_by_first_seen
from rlkit.errors import ConfigError

_KEYS = ("a", "b", "same")
_SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Pair:
    """Two texts and whether somebody judged them the same."""

    a: str
    b: str
    same: bool
    prompt: str | None = None
    """What both answer; None where it was not told."""


class Split(NamedTuple):
    """Indices of the pairs of each part, ascending."""

    train: np.ndarray
    calibration: np.ndarray
    held_out: np.ndarray


def read_pairs(path: str | Path, fewest: int = 1) -> list[Pair]:
    """Read one pair a line: `{"a": text, "b": text, "same": true or false, "prompt": optional id}`.

    Blank lines and further keys are passed over. Prompt ids may be texts or whole numbers.

    Raises:
        ConfigError: the file cannot be read, a line is not such a pair, there are fewer than `fewest`, or all of them
            have one label.
    """
    path = Path(path).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"The pairs {path} cannot be read: {reason}.") from error
    pairs = [_read_pair(line, f"Line {number} of {path}") for number, line in enumerate(lines, 1) if line.strip()]
    if len(pairs) < fewest:
        raise ConfigError(f"{path} holds {len(pairs)} pairs; at least {fewest} are needed: label more.")
    if len({pair.same for pair in pairs}) == 1:
        raise ConfigError(
            f"All pairs in {path} are labelled same: {json.dumps(pairs[0].same)}; add pairs of the other kind."
        )
    return pairs


def _read_pair(line: str, where: str) -> Pair:
    try:
        record: Any = json.loads(line)
    except ValueError as error:
        raise ConfigError(f'{where} is not JSON; write {{"a": "...", "b": "...", "same": true}}.') from error
    if not isinstance(record, dict):
        raise ConfigError(f'{where} is no object; write {{"a": "...", "b": "...", "same": true}}.')
    missing = [key for key in _KEYS if key not in record]
    if missing:
        raise ConfigError(f"{where} has no key {missing[0]!r}; a pair needs a, b and same.")
    for key in ("a", "b"):
        if not isinstance(record[key], str) or not record[key].strip():
            raise ConfigError(f"{where} has {record[key]!r} as {key!r}; write a text that is not empty.")
    if not isinstance(record["same"], bool):
        raise ConfigError(f"{where} has {record['same']!r} as 'same'; write true or false.")
    prompt = record.get("prompt")
    if prompt is not None and (isinstance(prompt, bool) or not isinstance(prompt, str | int)):
        raise ConfigError(f"{where} has {prompt!r} as 'prompt'; write the id of a prompt, or leave it out.")
    return Pair(record["a"], record["b"], record["same"], None if prompt is None else str(prompt))


def split_pairs(pairs: Sequence[Pair], seed: int = 0) -> Split:
    """Split at random into 60 % to train on, 20 % to calibrate the threshold on and 20 % to measure on.

    Pairs with the same prompt stay together. So do pairs without a prompt that share a text, also through others.

    Raises:
        ConfigError: a part would lack pairs of one label.
    """
    groups_N = _group_pairs(pairs)
    order = np.random.default_rng(seed).permutation(groups_N.max() + 1)
    sizes = np.bincount(groups_N)[order]
    # A group goes where its middle falls, so that parts are as near to their shares as whole groups allow.
    middles = (np.cumsum(sizes) - sizes / 2) / len(pairs)
    part_of_group = np.empty(len(order), dtype=np.int64)
    part_of_group[order] = np.searchsorted(np.cumsum(_SHARES)[:-1], middles, side="right")
    split = Split(*(np.flatnonzero(part_of_group[groups_N] == part) for part in range(len(_SHARES))))
    for name, places in zip(Split._fields, split, strict=True):
        if len({pairs[place].same for place in places}) < 2:
            raise ConfigError(
                f"The part {name.replace('_', '-')} of the {len(pairs)} pairs would have {len(places)} pairs, not both "
                "same and different ones; give more pairs from more prompts, or another seed."
            )
    return split


def _group_pairs(pairs: Sequence[Pair]) -> np.ndarray:
    """Return for each pair the number of its group, from 0, of groups that share nothing."""
    nodes = [
        [("prompt", pair.prompt)] if pair.prompt is not None else [("text", pair.a), ("text", pair.b)] for pair in pairs
    ]
    parents: dict[tuple[str, str], tuple[str, str]] = {}

    def find(node: tuple[str, str]) -> tuple[str, str]:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for linked in nodes:
        parents[find(linked[-1])] = find(linked[0])
    return label_by_first_seen([find(linked[0]) for linked in nodes])
