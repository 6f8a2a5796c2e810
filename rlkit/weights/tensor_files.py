"""Safetensors read and written piece by piece, so that a model passes through memory without ever being in it.

The library maps whole files, and what is mapped and read counts as memory of the process until the system takes it
back: six models that are averaged would be six models. The format is a length, a header of JSON and the bytes of each
tensor (https://huggingface.co/docs/safetensors), so pieces are read at their place.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from rlkit.errors import ConfigError
from rlkit.files import as_store_error

if TYPE_CHECKING:
    import torch

MODEL, ADAPTER = "model.safetensors", "adapter_model.safetensors"
INDEX = "model.safetensors.index.json"
TORCH_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""Types of the format that are read here, and what torch calls them."""
_SIZES = {name: int(name.lstrip("BFIOUL") or 8) // 8 for name in TORCH_NAMES}
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies and what it is."""

    file: str
    """Name of its file in the directory."""
    dtype: str
    """As the format names it, such as BF16."""
    shape: tuple[int, ...]
    start: int
    """Of its first byte in the file."""

    @property
    def num_entries(self) -> int:
        """How many numbers it has; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """How long it is on disk."""
        return self.num_entries * _SIZES[self.dtype]

    @property
    def torch_dtype(self) -> torch.dtype:
        """Its type in torch."""
        import torch

        dtype: torch.dtype = getattr(torch, TORCH_NAMES[self.dtype])
        return dtype

    @property
    def is_float(self) -> bool:
        """Whether it can be averaged."""
        return self.dtype in ("F64", "F32", "F16", "BF16")


class TensorFiles:
    """The tensors of a model or an adapter; a context manager that holds its files open.

    Raises:
        ConfigError: there are no safetensors, they cannot be read, or a tensor has a type that is not known here.
    """

    def __init__(self, folder: Path, single: str = MODEL) -> None:
        self.folder = folder
        self._single = single
        self._open = ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self.tensors: dict[str, StoredTensor] = {}

    def __enter__(self) -> TensorFiles:
        """Open every file and read its header."""
        try:
            for name in self._shards():
                self._files[name] = file = self._open.enter_context((self.folder / name).open("rb"))
                self.tensors |= _read_header(file, self.folder / name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._open.close()
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"The weights in {self.folder} cannot be read: {error}.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the files."""
        self._open.close()

    def read(self, name: str, start: int = 0, count: int | None = None) -> torch.Tensor:
        """Return entries start..start + count - 1 of a tensor, flat and in its own type; all by default."""
        import torch

        each = self.tensors[name]
        count = each.num_entries - start if count is None else count
        size = _SIZES[each.dtype]
        data = torch.empty(count * size, dtype=torch.uint8)
        file = self._files[each.file]
        file.seek(each.start + start * size)
        if file.readinto(data.numpy().data) != len(data):  # type: ignore[attr-defined]
            raise ConfigError(f"The file {self.folder / each.file} became shorter while it was read.")
        return data.view(each.torch_dtype)

    def _shards(self) -> list[str]:
        if (self.folder / self._single).is_file():
            return [self._single]
        if self._single != MODEL or not (self.folder / INDEX).is_file():
            raise ConfigError(f"There are no safetensors in {self.folder}; only such weights are merged.")
        index: Mapping[str, Any] = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        return sorted({*map(str, index["weight_map"].values())})


def write_tensors(path: Path, layout: Mapping[str, StoredTensor], pieces: Iterator[torch.Tensor]) -> None:
    """Write a file from the pieces of its tensors, in the order of the layout, and to the disk.

    Args:
        path: the file.
        layout: name -> type and shape; of each the place is not looked at. See `file_order`.
        pieces: flat, of the types of the layout, one tensor after the other.
    """
    import torch

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, each in layout.items():
        header[name] = {"dtype": each.dtype, "shape": [*each.shape], "data_offsets": [end, end + each.num_bytes]}
        end += each.num_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with as_store_error(path), path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for piece in pieces:
            file.write(piece.contiguous().view(torch.uint8).numpy().data)
        file.flush()
        os.fsync(file.fileno())
        assert file.tell() == 8 + len(text) + end


def file_order(name: str, each: StoredTensor) -> tuple[int, str]:
    """Return what sorts tensors so that each begins at a multiple of its type's size, as the library writes them."""
    return -_SIZES[each.dtype], name


def _read_header(file: BinaryIO, path: Path) -> dict[str, StoredTensor]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
        raise ConfigError(f"The weights in {path} cannot be read: the file is torn, or not safetensors.")
    header = json.loads(file.read(length))
    found = {}
    for name, each in header.items():
        if name == "__metadata__":
            continue
        if each["dtype"] not in TORCH_NAMES:
            raise ConfigError(
                f"The tensor {name!r} in {path} is of type {each['dtype']}, which cannot be averaged; merge the "
                "weights before they are quantised."
            )
        start, end = each["data_offsets"]
        found[name] = stored = StoredTensor(path.name, each["dtype"], tuple(each["shape"]), 8 + length + start)
        if end - start != stored.num_bytes or 8 + length + end > size:
            raise ConfigError(f"The weights in {path} cannot be read: the file is torn at {name!r}.")
    return found
