"""Whether the guard of a worker is well: what a plug-in did to it is told as of the call that did it.

A signal is on its way to a process until that process next runs, which on a busy machine is after the plug-in has
returned; a worker that answered meanwhile would be found dead in a later call, which did nothing.
"""

from __future__ import annotations

import contextlib
import os
import time

_NOTICE_S = 5.0
"""Seconds in which a dying guard takes its worker with it."""
_LOOK_S = 0.01


def is_well(guard: int) -> bool:
    """Return whether a process is this one's parent, neither stopped nor about to die of a signal."""
    if os.getppid() != guard:
        return False
    try:
        with open(f"/proc/{guard}/status") as file:
            words = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        on_the_way = int(words["SigPnd"], 16) | int(words["ShdPnd"], 16)
        # One that is blocked, ignored or caught ends nobody; the kernel does not keep those that do nothing.
        ends_nobody = int(words["SigBlk"], 16) | int(words["SigIgn"], 16) | int(words["SigCgt"], 16)
        return words["State"][0] not in "TtZX" and not on_the_way & ~ends_nobody
    except (OSError, LookupError, ValueError):
        # Without /proc the death shows when it comes.
        return True


def stay_in_this_call(guard: int) -> None:
    """Return at once while the guard is well; else wait for the end that its death, or this call's deadline, brings."""
    if is_well(guard):
        return
    given_up = time.monotonic() + _NOTICE_S
    while os.getppid() == guard or time.monotonic() < given_up:
        time.sleep(_LOOK_S)
    with contextlib.suppress(OSError):
        os._exit(1)
