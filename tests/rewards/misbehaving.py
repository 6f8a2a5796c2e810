"""A plug-in that does on demand what plug-ins do by accident; loaded by its path, as a user's would be."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import time

from rlkit.workers import wire


def run(kind, x=0.0):
    """Return x, or misbehave in the way that `kind` names."""
    return ok(x) if kind == "ok" else FAULTS[kind]()


def ok(x):
    return float(x)


def _raise():
    raise ValueError("the answer is missing")


def _print_much():
    for _ in range(200):
        os.write(1, b"x" * 2**20)
    return 1.0


def _fork_many():
    for _ in range(6):
        os.fork()
    time.sleep(60)


def _fork_into_sessions():
    for _ in range(5):
        subprocess.Popen(["sleep", "60"], start_new_session=True)
    time.sleep(60)


def _alarm():
    def late(*_):
        raise TimeoutError("by alarm")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(10)


class _Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def _raise_unspeakable():
    raise _Unspeakable


def _tell_parts():
    for part in range(4):
        time.sleep(0.3)
        wire.tell({"part": part})
    return 1.0


def _loop():
    while True:
        pass


def _kill_slowly(pid):
    # It gets the processor last, as on a busy machine, so the call returns first.
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    os.sched_setaffinity(pid, {max(os.sched_getaffinity(0))})
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.kill(pid, signal.SIGKILL)
    return 1.0


FAULTS = {
    "loop": _loop,
    "regex": lambda: bool(re.match(r"(a+)+$", "a" * 60 + "b")),
    "sleep": lambda: time.sleep(60),
    "exit 0": lambda: os._exit(0),
    "exit 1": lambda: os._exit(1),
    "sys.exit": lambda: exit(3),
    "segfault": lambda: ctypes.string_at(0),
    "memory": lambda: len(bytearray(10 * 2**30)),
    "raise": _raise,
    "unspeakable": _raise_unspeakable,
    "print": _print_much,
    "forks": _fork_many,
    "sessions": _fork_into_sessions,
    "fork and return": lambda: (os.fork(), 1.0)[1],
    "alarm": _alarm,
    "object": object,
    "tells": _tell_parts,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "text": lambda: "1.0",
    "close all": lambda: os.closerange(3, 100),
    "kill guard": lambda: _kill_slowly(os.getppid()),
    "stop guard": lambda: os.kill(os.getppid(), signal.SIGSTOP),
    "kill group": lambda: os.killpg(0, signal.SIGKILL),
    "nap": lambda: (time.sleep(0.05), os.getpid())[1],
    "surroundings": lambda: [os.environ["CUDA_VISIBLE_DEVICES"], os.getpid(), os.getpgid(0)],
}
