"""Runs one untrusted program under limits: a script that `sandbox.py` starts, so it imports the standard library alone.

Three processes, one below the other:

- the *watcher*, this script: asks the kernel for namespaces and dies with the process that started it;
- the *keeper*: first process of the new process namespace. When the program has ended, or its time is up, it kills
  whatever the program left behind, in whatever session or group, and says how the program ended;
- the *program*: takes the limits upon itself, gives up its rights and is replaced by what is to be run.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

_NEW_USER, _NEW_PID, _NEW_NET, _NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_READ = sum(1 << bit for bit in (0, 2, 3))  # execute, read files, list directories
_LANDLOCK_WRITE_FILE = 1 << 1
_LANDLOCK_ALL = (1 << 13) - 1  # and remove and make files of every kind
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")
_libc = ctypes.CDLL(None, use_errno=True)


def main(spec: dict[str, Any]) -> None:
    """Set up namespaces, run the program and write one line of JSON about its end to the status descriptor."""
    _die_with_parent()
    isolation = _leave_namespaces()
    keeper = os.fork()
    if keeper == 0:
        with contextlib.suppress(BaseException):
            _keep(spec, isolation)
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(keeper, signal.SIGKILL))
    # Held open here, they would keep readers waiting for an end that has come.
    for descriptor in (0, 1, 2, *spec["keep_fds"]):
        os.close(descriptor)
    os.waitpid(keeper, 0)


def _leave_namespaces() -> list[str]:
    """Leave as many of the machine's namespaces as the kernel allows; return their names."""
    wanted = {"pid": _NEW_PID, "net": _NEW_NET, "ipc": _NEW_IPC}
    for names in (("pid", "net", "ipc"), ("net", "ipc"), ("pid",)):
        for extra in (0, _NEW_USER):
            if _libc.unshare(sum(wanted[name] for name in names) | extra) == 0:
                return [*names, *(["user"] if extra else [])]
    return []


def _keep(spec: dict[str, Any], isolation: list[str]) -> None:
    _die_with_parent()
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    program = os.fork()
    if program == 0:
        try:
            _become_program(spec)
        except BaseException as error:
            os.write(2, f"sandbox: {type(error).__name__}: {error}\n".encode())
        os._exit(127)
    for descriptor in spec["keep_fds"]:
        os.close(descriptor)
    code, timed_out = _wait(program, started + spec["wall_s"])
    _kill_the_rest("pid" in isolation)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    end = {
        "exit_code": code,
        "timed_out": timed_out,
        "isolation": isolation,
        "seconds": time.monotonic() - started,
        "peak_mb": used.ru_maxrss / 1024,
        "cpu_s": used.ru_utime + used.ru_stime,
    }
    os.write(spec["status_fd"], json.dumps(end).encode() + b"\n")


def _wait(program: int, deadline: float) -> tuple[int, bool]:
    """Return the exit code, a negative signal number for a program that was killed, and whether its time ran out."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == program:
            return os.waitstatus_to_exitcode(status), False
        if ended:
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            os.kill(program, signal.SIGKILL)
            return -signal.SIGKILL, True
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _kill_the_rest(owns_pids: bool) -> None:
    """Kill every process the program started: all of the namespace, or all descendants until none is left."""
    for _ in range(1000):
        if owns_pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for pid in _descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants(ancestor: int) -> Iterator[int]:
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                # The name in brackets may hold spaces and brackets; the parent follows the last one.
                parents[int(entry)] = int(file.read().rpartition(b")")[2].split()[1])
    for pid in parents:
        above = pid
        while above in parents and above != ancestor:
            above = parents[above]
        if above == ancestor and pid != ancestor:
            yield pid


def _become_program(spec: dict[str, Any]) -> None:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.chdir(spec["directory"])
    for name, limit in spec["rlimits"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard - (name == "RLIMIT_CPU"))
        # One second after the soft limit on time, whose signal says why, comes the hard one, which cannot be caught.
        resource.setrlimit(number, (limit, limit + (name == "RLIMIT_CPU")))
    keep = {0, 1, 2, *spec["keep_fds"]}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)
    os.umask(0o077)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _fence_files(spec["directory"], spec["readable"])
    if spec["uid"] is None:
        # A user's own processes may outnumber the limit already; in a user namespace the program's are counted alone.
        _libc.unshare(_NEW_USER)
    else:
        os.setgroups([])
        os.setresgid(spec["uid"], spec["uid"], spec["uid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    # A change of identity clears it, so it comes last.
    _die_with_parent()
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


def _fence_files(directory: str, readable: list[str]) -> None:
    """Let the program see its directory, the system's libraries and the interpreter only, where the kernel can.

    Source: Landlock, https://docs.kernel.org/userspace-api/landlock.html, the rights of its first version.
    """
    attributes = struct.pack("<Q", _LANDLOCK_ALL)
    ruleset = _libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return
    rules = {path: _LANDLOCK_READ for path in (*_SYSTEM, *readable) if os.path.exists(path)}
    for path, allowed in {**rules, "/dev": _LANDLOCK_READ | _LANDLOCK_WRITE_FILE, directory: _LANDLOCK_ALL}.items():
        if not os.path.isdir(path):
            allowed &= ~(1 << 3)
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        _libc.syscall(_LANDLOCK_ADD_RULE, ruleset, 1, struct.pack("<Qi", allowed, parent), 0)
        os.close(parent)
    _libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
