"""The protocol between a program and its workers: length-prefixed frames, trusted in one direction only.

Each worker has a socket of its own. A frame is its length, 8 bytes, the largest first, and so many bytes.

    program                                            worker
    setup: what to load, its limits         ->
                                            <-         {"kind": "ready", "pid"} or {"kind": "refused", "reason", ...}
    keyword arguments of a call             ->
                                            <-         {"kind": "part", "value"}, as often as the function tells one
                                            <-         {"kind": "ok", "value"} or {"kind": "error", "reason", ...}

Towards a worker goes pickle, which can carry any plug-in and any data column. From a worker comes JSON, so that nothing
a plug-in returns can run code in the program, however it was made. One call is under way at a time. What is late, or
breaks this protocol, is ended with its process; a worker ends when the program closes its end.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any, Literal

from rlkit.errors import PluginError
from rlkit.plugins import load_target
from rlkit.workers.guard_watch import stay_in_this_call

HEADER = struct.Struct(">Q")
MOST_BYTES = 64 * 2**20
"""Longest message that a program reads; a reward is a handful of numbers."""


@dataclass(frozen=True)
class Reply:
    """What became of one call."""

    status: Literal["ok", "error", "timeout"]
    value: Any = None
    """What the function returned, as plain data: tuples are lists, arrays are lists of numbers."""
    reason: str | None = None
    """One sentence without the function's name, for `error` and `timeout`."""
    traceback: str | None = None
    num_printed: int = 0
    """Bytes that were printed meanwhile."""
    has_ended: bool = False
    """Whether the call ended its process."""


_telling: list[tuple[socket.socket, int, int]] = []
"""In a worker its channel, the process that may use it, and its guard."""


def open_channel(channel: socket.socket, guard: int) -> None:
    """In a worker, name the channel that `tell` uses, and the guard."""
    _telling[:] = [(channel, os.getpid(), guard)]


def tell(value: Any) -> None:
    """In a worker, send a plain value to the program while the call goes on; elsewhere do nothing."""
    for channel, owner, guard in _telling:
        if os.getpid() != owner:
            # A copy that was forked off came back; only one may speak.
            os._exit(0)
        stay_in_this_call(guard)
        channel.sendall(encode_message({"kind": "part", "value": plain(value)}))


class _Pickler(pickle.Pickler):
    """Names what was loaded from a file by its path, since no other process can import it by its module's name."""

    def persistent_id(self, thing: Any) -> str | None:
        name = getattr(thing, "__qualname__", None)
        module = getattr(thing, "__module__", None)
        if not isinstance(name, str) or not isinstance(module, str):
            return None
        if module == "__main__":
            raise PluginError(
                f"{name} is defined in the program that is running, which a worker does not run again; move it into a "
                f"file and name it as file.py:{name}."
            )
        if not module.startswith("rlkit_plugin_") or "." in name:
            return None
        home = sys.modules.get(module)
        return f"{home.__file__}:{name}" if home is not None and getattr(home, name, None) is thing else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, target: Any) -> Any:
        return load_target(target, "reward")


def pack(thing: Any) -> bytes:
    """Return a thing as bytes that `unpack` understands in a worker.

    Raises:
        PluginError: it was defined in the running program, or cannot be pickled.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(thing)
    except PluginError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise PluginError(
            f"A reward's function and columns must be picklable to reach a worker, but: {said}."
        ) from error
    return buffer.getvalue()


def unpack(data: bytes) -> Any:
    """Return what `pack` was given; plug-in files are loaded on the way."""
    return _Unpickler(io.BytesIO(data)).load()


def plain(value: Any) -> Any:
    """Return a value made of None, bools, numbers, texts, lists and dicts only.

    Scalars and arrays of NumPy and PyTorch become numbers and lists, tuples become lists.

    Raises:
        TypeError: it holds something else.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bool | int | float | str):
        return next(kind(value) for kind in (bool, int, float, str) if isinstance(value, kind))
    if callable(getattr(value, "tolist", None)):
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} is neither number, text, list nor dict")


def frame(data: bytes) -> bytes:
    """Return bytes with their length in front."""
    return HEADER.pack(len(data)) + data


def encode_message(message: dict[str, Any]) -> bytes:
    """Return a worker's message as one frame of JSON; NaN and infinities are kept, to be judged on the other side."""
    return frame(json.dumps(message).encode("utf-8", "surrogatepass"))


def decode_message(data: bytes) -> dict[str, Any]:
    """Return a worker's message; raises ValueError for anything but an object with a `kind`."""
    message = json.loads(data.decode("utf-8", "surrogatepass"))
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise ValueError("no message of a worker")
    return message
