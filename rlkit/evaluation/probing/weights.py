"""The weights of a checkpoint as they were saved, read from disk in slices, never a whole model at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError

if TYPE_CHECKING:
    import torch

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
# What some checkpoints carry beside their parameters: tables and masks that no training changes.
_BUFFERS = re.compile(r"(rotary_emb\.inv_freq|attn\.(masked_)?bias|position_ids)$")
_FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_SLICE_ENTRIES = 1 << 24


class SavedWeights:
    """The floating-point parameters of a checkpoint; a context manager that holds its files open.

    Raises:
        ConfigError: there are no safetensors files of the model on this machine.
    """

    def __init__(self, path: str) -> None:
        self.folder = _folder_of(path)
        self._open = ExitStack()
        self._slices: dict[str, Any] = {}

    def __enter__(self) -> SavedWeights:
        """Open every shard; nothing is read but the headers."""
        from safetensors import SafetensorError, safe_open

        try:
            for shard in self._shards():
                file = self._open.enter_context(safe_open(shard, framework="pt"))
                self._slices |= {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError) as error:
            self._open.close()
            raise ConfigError(f"The weights in {self.folder} cannot be read: {error}.") from error
        if self._is_tied():
            self._slices.pop("lm_head.weight", None)
        is_weight = {
            name: each.get_dtype() in _FLOATS and not _BUFFERS.search(name) for name, each in self._slices.items()
        }
        self.not_counted = sorted(name for name, counts in is_weight.items() if not counts)
        self._slices = {name: each for name, each in sorted(self._slices.items()) if is_weight[name]}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the files."""
        self._open.close()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of each parameter, tied ones once -> its shape."""
        return {name: tuple(each.get_shape()) for name, each in self._slices.items()}

    @property
    def dtypes(self) -> list[str]:
        """The types they are saved in."""
        return sorted({_FLOATS[each.get_dtype()] for each in self._slices.values()})

    def rows(self, name: str, start: int, end: int) -> torch.Tensor:
        """Return rows start..end - 1 of a parameter, in float32."""
        each = self._slices[name]
        values: torch.Tensor = each[start:end] if each.get_shape() else each[...]
        return values.float()

    def _shards(self) -> list[Path]:
        if (self.folder / _SINGLE).is_file():
            return [self.folder / _SINGLE]
        index: Mapping[str, Any] = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
        return [self.folder / name for name in sorted(set(index["weight_map"].values()))]

    def _is_tied(self) -> bool:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
        return bool(config.get_text_config().tie_word_embeddings)


def row_slices(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield starts and ends that cut a parameter into slices of bounded size along its first axis."""
    if not shape:
        yield 0, 1
        return
    width = 1
    for size in shape[1:]:
        width *= size
    step = max(1, _SLICE_ENTRIES // max(1, width))
    for start in range(0, shape[0], step):
        yield start, min(shape[0], start + step)


def _folder_of(path: str) -> Path:
    for name in (_SINGLE, _INDEX):
        if (Path(path) / name).is_file():
            return Path(path)
    if not Path(path).is_dir():
        from transformers.utils import cached_file

        for name in (_SINGLE, _INDEX):
            # A hub model that was just loaded lies in the cache; nothing is fetched here.
            found = cached_file(
                path,
                name,
                local_files_only=True,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
            if found:
                return Path(found).parent
    raise ConfigError(f"The model {path!r} has no safetensors files on this machine, so its weights are not compared.")
