"""What identifies an evaluation: samples drawn under equal configurations may be mixed, others may not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.chat_format import ChatFormat
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
    """As in a recipe, without what is in `connection`."""
    sampling: SamplingConfig
    adapter: str | None = None
    """LoRA adapter on the model, as the user named it."""
    adapter_fingerprint: str | None = None
    """Digest of the adapter's files; for one that a server knows by name, the name."""
    chat: ChatFormat = field(default_factory=ChatFormat)
    connection: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the engine that do not decide what is drawn: addresses, deadlines, how much at once."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON types; what is not used is left out, so that older directories can go on."""
        values = {**self.__dict__, "sampling": self.sampling.as_json(), "chat": self.chat.as_json()}
        return {name: value for name, value in values.items() if value or name not in _LEFT_OUT}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EvaluationConfig:
        """Build from what `as_json` gave, also in an older version; what is no field today is passed over.

        Raises:
            ConfigError: the samples were read from another tool's log, which does not say how they were drawn.
        """
        if values["sampling"].get("seed", 0) is None:
            raise ConfigError(
                f"The samples of {values.get('model')!r} were read from a log of {values.get('engine')}, which does "
                "not say how they were drawn; rlkit import --verifier grades such samples anew."
            )
        known = {each.name for each in fields(cls)}
        parts = {name: value for name, value in values.items() if name in known}
        try:
            chat = ChatFormat(**values.get("chat", {}))
        except TypeError as error:
            raise ConfigError(f"The configuration has chat settings {values['chat']!r}, which are none.") from error
        parts |= {"sampling": SamplingConfig.from_mapping(values["sampling"]), "chat": chat}
        return cls(**parts)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that two configurations share only when they are the same."""
        return digest_of(_identity(self.as_json()))


_LEFT_OUT = ("adapter", "adapter_fingerprint", "chat", "connection")


def split_spec(spec: Any, connection: Collection[str]) -> tuple[Any, dict[str, Any]]:
    """Return a plug-in as `describe_spec` gives it, and, apart, those of its parameters that are named."""
    described = describe_spec(spec)
    if not isinstance(described, Mapping):
        return described, {}
    apart = {name: value for name, value in described.items() if name in connection}
    return describe_spec({name: value for name, value in described.items() if name not in connection}), apart


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
    "adapter_fingerprint": "the adapter is another, or its files have changed since",
    "model_fingerprint": "the model's files have changed since",
    "prompts_digest": "the task gives other problems than then",
}


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    # The same files under another path are the same model, and other servers of a model draw the same.
    return {name: value for name, value in config.items() if name not in ("model", "adapter", "connection")}


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
