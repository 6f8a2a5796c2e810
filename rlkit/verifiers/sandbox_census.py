"""How many processes stand below one, and what memory they take together.

Run by `sandbox_child.py` in the keeper, so it imports the standard library alone. The kernel's own limits bound each
process; what all of them take is added up here, many times a second.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_PAGE = os.sysconf("SC_PAGE_SIZE")
_THREADS, _RESIDENT = 17, 21
"""Places in `/proc/PID/stat`, counted from the process's state."""


def find_below(ancestor: int) -> Iterator[int]:
    """Yield every process below one, in the numbers of `/proc`; nothing where there is no `/proc`."""
    if not os.path.exists(f"/proc/{ancestor}/task/{ancestor}/children"):
        # A kernel that does not list children.
        yield from _search(ancestor)
        return
    waiting = [ancestor]
    while waiting:
        children = _children(waiting.pop())
        yield from children
        waiting += children


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    return found


def _search(ancestor: int) -> Iterator[int]:
    parents: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (fields := _stat(int(entry))):
                parents[int(entry)] = int(fields[1])
    for pid in parents:
        above = pid
        while above in parents and above != ancestor:
            above = parents[above]
        if above == ancestor and pid != ancestor:
            yield pid


def _stat(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        # The name in brackets may hold spaces and brackets; the fields follow the last one.
        return file.read().rpartition(b")")[2].split()
    return []


def exceeded(ancestor: int, most_processes: int, most_bytes: int) -> str:
    """Return which bound the processes below one break together: `processes`, `memory`, or neither, ``.

    Args:
        ancestor: its number in `/proc`.
        most_processes: processes and threads.
        most_bytes: of memory that is in use. Pages that several share count once.
    """
    num_processes, resident, pids = 0, 0, []
    for pid in find_below(ancestor):
        if fields := _stat(pid):
            num_processes += int(fields[_THREADS])
            resident += int(fields[_RESIDENT]) * _PAGE
            pids.append(pid)
        if num_processes > most_processes:
            return "processes"
    # A process and its copies share most pages at first, which only this slower sum knows.
    return "memory" if resident > most_bytes and sum(map(_own_bytes, pids)) > most_bytes else ""


def _own_bytes(pid: int) -> int:
    """Return what memory a process takes, with its share of what others use too."""
    with contextlib.suppress(OSError, StopIteration), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        return 1024 * int(next(line for line in file if line.startswith(b"Pss:")).split()[1])
    return 0
