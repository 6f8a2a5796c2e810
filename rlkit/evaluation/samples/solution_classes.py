"""Which solution each stored sample is, by a partition of one's choice: needs whole groups, so it follows sampling."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlkit.diversity import Partition
from rlkit.diversity.contract import label_group, read_features
from rlkit.diversity.text_partition import KeyPartition
from rlkit.evaluation.engines.contract import SampleKey
from rlkit.evaluation.samples.grading import Grader
from rlkit.evaluation.samples.index import index_samples
from rlkit.evaluation.samples.reading import Record
from rlkit.evaluation.samples.store import key_of
from rlkit.types import Row

_LONGEST_KEY = 120
"""Characters of a class; longer keys (whole texts) end in a digest."""


def classify_samples(
    path: str | Path, rows: Sequence[Row], partition: Partition, grader: Grader
) -> dict[SampleKey, str]:
    """Return the class of each stored sample.

    A partition by keys gives the key, which means the same in every directory. Others judge within a group, all samples
    of a prompt by their number: `class 0`, `class 1`, ... in the order of first appearance, which mean nothing outside.

    Args:
        path: sample directory.
        rows: problems; their columns go to the partition beside `truncated`. Samples of other problems get no class.
        partition: what counts as different.
        grader: leaves reasoning out of the texts that are compared.

    Raises:
        PluginError: the partition raises, or returns something else than it should.
    """
    by_id = {row["id"]: row for row in rows}
    samples = index_samples(path, by_id)
    classes: dict[SampleKey, str] = {}
    for prompt_id, row in by_id.items():
        if group := samples.read(prompt_id):
            names = _name_group(group, row, partition, grader)
            classes |= {key_of(record): name for record, name in zip(group, names, strict=True)}
    return classes


def _name_group(group: list[Record], row: Row, partition: Partition, grader: Grader) -> list[str]:
    texts_G = [grader.answer_text(record["completion"]) or "" for record in group]
    columns: dict[str, Sequence[Any]] = {name: [row[name]] * len(group) for name in row if name != "completions"}
    columns["truncated"] = [record["finish_reason"] == "length" for record in group]
    features_G = read_features(partition, texts_G, **columns)
    if isinstance(partition, KeyPartition):
        return [shorten_key(feature) for feature in features_G]
    return [f"class {label}" for label in label_group(partition, features_G)]


def shorten_key(key: str) -> str:
    """Return a key that is short enough to keep: a long one, a whole text say, ends in a digest."""
    if len(key) <= _LONGEST_KEY:
        return key
    return f"{key[: _LONGEST_KEY - 17]}#{hashlib.sha256(key.encode('utf-8', errors='replace')).hexdigest()[:16]}"
