"""What identifies an evaluation: samples drawn under equal configurations may be mixed, others may not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.evaluation.sampling import SamplingConfig
from rlkit.types import PluginSpec, Row

# Hashing gigabytes of weights would take longer than sampling; training changes weights everywhere, so blocks suffice.
_WHOLE_FILE_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 16
_NUM_BLOCKS = 64
_MODEL_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.safetensors", "*.bin")


@dataclass(frozen=True)
class EvaluationConfig:
    """Everything that decides what is sampled and graded."""

    model: str
    """As the user named it."""
    model_fingerprint: str
    """Digest of the model's files; for a hub id the id itself."""
    task: Any
    """As in a recipe: a name, or a mapping with a name and parameters."""
    split: str
    limit: int | None
    """The first so many problems of the split; None for all."""
    prompts_digest: str
    """Digest of the problems' ids and prompts."""
    n: int
    """Samples a prompt."""
    engine: Any
    """As in a recipe."""
    sampling: SamplingConfig

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {**self.__dict__, "sampling": self.sampling.as_json()}

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that two configurations share only when they are the same."""
        return digest_of(_identity(self.as_json()))


def describe_spec(spec: PluginSpec) -> Any:
    """Return how a plug-in was named as JSON types; a mapping with nothing but a name becomes the name."""
    if isinstance(spec, str):
        return spec
    if isinstance(spec, Mapping):
        return spec["name"] if set(spec) == {"name"} else dict(spec)
    return repr(spec)


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return where two configurations (as JSON) disagree, each as `n is 64 there and 128 here`."""
    there, here = dict(_flatten(_identity(stored))), dict(_flatten(_identity(wanted)))
    names = sorted(there.keys() | here.keys())
    return [
        _WORDS.get(name, f"{name} is {there.get(name)!r} there and {here.get(name)!r} here")
        for name in names
        if there.get(name) != here.get(name)
    ]


def model_fingerprint(model: str) -> str:
    """Return a digest of the files of a model directory, or the hub id when it is none.

    Small files are read whole, large ones in evenly spread blocks.
    """
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _MODEL_FILES for path in folder.glob(pattern)}):
        digest.update(f"{path.name}:{path.stat().st_size}".encode())
        _read_into(digest, path)
    return digest.hexdigest()[:16]


def prompts_digest(rows: Sequence[Row]) -> str:
    """Return a digest of the problems' ids and prompts, in order."""
    return digest_of([[row["id"], row["prompt"]] for row in rows])


def digest_of(value: Any) -> str:
    """Return sixteen hexadecimal digits of the SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]


# What the two digests stand for, said in words: sixteen digits would tell nobody what to do.
_WORDS = {
    "model_fingerprint": "the model's files have changed since",
    "prompts_digest": "the task gives other problems than then",
}


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    # The same files under another path are the same model.
    return {name: value for name, value in config.items() if name != "model"}


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _read_into(digest: hashlib._Hash, path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE_FILE_BYTES:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
            return
        for block in range(_NUM_BLOCKS):
            file.seek(block * (size - _BLOCK_BYTES) // (_NUM_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
