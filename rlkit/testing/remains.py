"""What a reward leaves behind when it has returned: processes, threads, work that goes on."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import thread as executors
from pathlib import Path
from typing import Any

_SETTLE_S, _WATCH_S = 0.1, 0.3
"""Seconds that a call's own work gets to end, and then those in which nothing should be done."""
_BUSY = 0.07
"""Share of that time in which a thread that only waits does not work, and one that spins does on a busy machine too."""


def read_remains() -> set[int]:
    """Return what is there before a reward is called: ids of processes and threads."""
    return _children() | {id(thread) for thread in threading.enumerate()}


def find_remains(before: set[int]) -> list[str]:
    """Return a sentence for each kind of thing that has come since; waits a moment to see whether it works."""
    time.sleep(_SETTLE_S)
    said = []
    if left := len(_children() - before):
        said.append(f"It leaves {left} process{'es' if left > 1 else ''} behind; wait for what it starts, and end it.")
    new = [thread for thread in threading.enumerate() if id(thread) not in before]
    if stays := [thread for thread in new if not thread.daemon and not _is_of_executor(thread)]:
        said.append(f"It keeps the program from ending by {len(stays)} of its threads; join what it starts.")
    started = time.process_time()
    time.sleep(_WATCH_S)
    if time.process_time() - started > _BUSY * _WATCH_S:
        said.append("It has returned, but something of it goes on working; end every thread that it starts.")
    return said


def _is_of_executor(thread: threading.Thread) -> bool:
    # These end with the program by themselves.
    return getattr(thread, "_target", None) is getattr(executors, "_worker", None)


def _children() -> set[int]:
    """Return the processes that this one has started, and those of its guard where it is a worker."""
    found: set[int] = set()
    tasks = [*_folders(Path("/proc/self/task"))]
    if _is_guarded():
        tasks += _folders(Path(f"/proc/{os.getppid()}/task"))
    for task in tasks:
        with contextlib.suppress(OSError):
            found |= {int(word) for word in (task / "children").read_text().split()}
    return {pid for pid in found if pid != os.getpid() and not _is_helper(pid)}


def _folders(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [*folder.iterdir()]
    return []


def _is_guarded() -> bool:
    words: list[Any] = _command(os.getppid())
    return any(word.endswith(b"worker_main.py") for word in words)


def _is_helper(pid: int) -> bool:
    """Return whether a process is one that Python's own libraries keep, or that checks this reward."""
    words = b" ".join(_command(pid))
    return any(name in words for name in (b"resource_tracker", b"forkserver", b"worker_main.py"))


def _command(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []
