"""What a reward called in this process may not change behind its back: random numbers, settings, the process itself.

A seed set in a reward would make every later step sample the same completions; a switched-off gradient, default type
or handler would change a run as silently. What a reward changes is put back when it returns, and said once by name.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_SIGNALS = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE),
    *(signal.SIGALRM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2),
)
"""Those that say when a run stops, or that libraries wait for."""


@dataclass(frozen=True)
class _Setting:
    """Something of the program that anybody may change."""

    word: str
    """How messages call it."""
    read: Callable[[], Any]
    write: Callable[[Any], object]


@dataclass(frozen=True, eq=False)
class _Alarm:
    """When SIGALRM is due, in seconds of `time.monotonic`; 0 for never."""

    due: float
    interval: float

    @classmethod
    def read(cls) -> _Alarm:
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        return cls(time.monotonic() + left if left else 0.0, interval)

    def write(self) -> None:
        left = max(self.due - time.monotonic(), 0.001) if self.due else 0.0
        signal.setitimer(signal.ITIMER_REAL, left, self.interval)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alarm) and abs(self.due - other.due) < 0.1 and self.interval == other.interval


@contextlib.contextmanager
def guarded(salt: str) -> Iterator[set[str]]:
    """Put back what is changed inside a `with` block, and yield a set that then holds words for it.

    Inside, random numbers come from a stream of the block's own, drawn from the program's present state: they differ
    from batch to batch, are the same again in a run that is continued, and leave the program's as they were.

    Args:
        salt: what sets this block's random numbers apart from other blocks'.
    """
    changed: set[str] = set()
    settings = [(setting, _try(setting.read)) for setting in _settings()]
    numbers = [(source, source.read()) for source in _random_sources()]
    _seed(salt, numbers)
    seeded = [source.read() for source, _ in numbers]
    try:
        yield changed
    finally:
        for (source, before), own in zip(numbers, seeded, strict=True):
            if not _is_same(source.read(), own):
                changed.add(source.word)
            source.write(before)
        for setting, value in settings:
            if value is not None and not _is_same(_try(setting.read), value):
                changed.add(setting.word)
                _try(setting.write, value)


@dataclass
class Notices:
    """What is said of rewards, each sentence once."""

    tell: Callable[[str], object]
    _told: set[tuple[str, str]] = field(default_factory=set)

    def say_once(self, name: str, sentence: str | None) -> None:
        """Tell a sentence about a reward unless it has been told."""
        if sentence is not None and (name, sentence) not in self._told:
            self._told.add((name, sentence))
            self.tell(sentence)

    @contextlib.contextmanager
    def put_back(self, name: str, salt: str) -> Iterator[None]:
        """Guard a block in which the reward `name` is called."""
        changed: set[str] = set()
        try:
            with guarded(f"{name} {salt}") as changed:
                yield
        finally:
            if changed:
                self.say_once(
                    name,
                    f"The reward {name} changes {_list(sorted(changed))}; the run's own is put back after each batch.",
                )


def end_copy(name: str, owner: int) -> None:
    """End this process if it is a copy that a reward forked off and let come back: there would be two trainers."""
    if os.getpid() != owner:
        # No lock of the program can be relied on in here, so no console.
        os.write(2, f"The reward {name} forked, and the copy came back from it; the copy was ended.\n".encode())
        os._exit(70)


def _list(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _settings() -> list[_Setting]:
    settings = [
        _Setting("the working directory", os.getcwd, os.chdir),
        _Setting("the environment", lambda: dict(os.environ), _set_environment),
        _Setting("the standard streams", lambda: (sys.stdin, sys.stdout, sys.stderr), _set_streams),
        _Setting("sys.path", lambda: list(sys.path), lambda paths: sys.path.__setitem__(slice(None), paths)),
        _Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        _Setting("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    ]
    if threading.current_thread() is threading.main_thread():
        settings += [
            _Setting("what signals do", _read_handlers, _set_handlers),
            _Setting("alarms", _Alarm.read, _Alarm.write),
        ]
    if (numpy := sys.modules.get("numpy")) is not None:
        settings.append(_Setting("NumPy's handling of errors", numpy.geterr, lambda given: numpy.seterr(**given)))
    return settings + _torch_settings()


def _torch_settings() -> list[_Setting]:
    torch = _loaded_torch()
    if torch is None:
        return []
    return [
        _Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
        _Setting("torch's default device", torch.get_default_device, torch.set_default_device),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting("torch's matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        _Setting(
            "torch's deterministic mode",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
    ]


def _random_sources() -> list[_Setting]:
    sources = [_Setting("random numbers (random)", random.getstate, random.setstate)]
    if (numpy := sys.modules.get("numpy")) is not None:
        sources.append(_Setting("random numbers (NumPy)", numpy.random.get_state, numpy.random.set_state))
    if (torch := _loaded_torch()) is not None:
        sources.append(_Setting("random numbers (torch)", torch.get_rng_state, torch.set_rng_state))
        if torch.cuda.is_initialized():
            sources.append(
                _Setting("random numbers (CUDA)", torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)
            )
    return sources


def _loaded_torch() -> Any:
    """Return torch if somebody has loaded all of it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "get_float32_matmul_precision") else None


def _seed(salt: str, numbers: list[tuple[_Setting, Any]]) -> None:
    """Give each source a seed that follows from the salt and from the state of them all."""
    digest = hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=8)
    for _, state in numbers:
        digest.update(_to_bytes(state))
    seed = int.from_bytes(digest.digest(), "big") >> 1
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)
    if (torch := _loaded_torch()) is not None:
        # Not `torch.manual_seed`: before a GPU is used that would wait for it, and seed the run's own numbers there.
        torch.default_generator.manual_seed(seed)


def _to_bytes(state: Any) -> bytes:
    if isinstance(state, list | tuple) and any(hasattr(part, "shape") for part in state):
        return b"".join(map(_to_bytes, state))
    if hasattr(state, "cpu"):
        state = state.cpu().numpy()
    return bytes(state.tobytes()) if hasattr(state, "tobytes") else repr(state).encode()


def _is_same(state: Any, other: Any) -> bool:
    if isinstance(state, list | tuple) and any(hasattr(part, "shape") for part in state):
        return type(state) is type(other) and len(state) == len(other) and all(map(_is_same, state, other))
    if hasattr(state, "shape"):
        return type(state) is type(other) and state.shape == other.shape and bool((state == other).all())
    return state is other or bool(state == other)


def _try(action: Callable[..., Any], *given: Any) -> Any:
    """Return what an action gives, None where it cannot be done: a folder that was deleted, a handler of C code."""
    with contextlib.suppress(Exception):
        return action(*given)
    return None


def _set_environment(values: dict[str, str]) -> None:
    for name in [*os.environ]:
        if name not in values:
            del os.environ[name]
    os.environ.update(values)


def _set_streams(streams: tuple[Any, Any, Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams


def _read_handlers() -> dict[int, Any]:
    # None is a handler that Python did not install and cannot put back.
    handlers = {int(number): signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in handlers.items() if handler is not None}


def _set_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)
