"""Which worker processes are there, by /proc alone."""

from __future__ import annotations

import os
import time
from pathlib import Path


def workers_of(parent: int) -> set[int]:
    """Return the guards and workers that a process has started, and what forked from them."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.endswith(b"worker_main.py") for word in words) and str(parent).encode() in words:
                found.add(int(folder.name))
    return found


def wait_until(is_so, seconds: float = 2.0) -> bool:
    """Return whether a condition came true in time."""
    end = time.monotonic() + seconds
    while not (done := is_so()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(done)


def is_running(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children_named(name: str) -> set[int]:
    """Return the processes of this user that run a program of this command line."""
    wanted = name.encode().replace(b" ", b"\0") + b"\0"
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if (folder / "cmdline").read_bytes() == wanted:
                    found.add(int(folder.name))
            except OSError:
                continue
    return found
