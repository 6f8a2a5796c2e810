"""Runs one untrusted program under limits: a script that `sandbox.py` starts, so it imports the standard library alone.

Three processes, one below the other:

- the *watcher*, this script: asks the kernel for namespaces and dies with the process that started it;
- the *keeper*: first process of the new process namespace. When the program has ended, or its time is up, it kills
  whatever the program left behind, in whatever session or group, and says how the program ended;
- the *program*: takes the limits upon itself, shuts itself off from the machine (`sandbox_walls.py`), gives up its
  rights and is replaced by what is to be run.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import runpy
import signal
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

_NEW_USER, _NEW_PID, _NEW_NET, _NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_NOBODY = 65534
_POLL_S = 0.05
_libc = ctypes.CDLL(None, use_errno=True)


def main(spec: dict[str, Any]) -> None:
    """Set up namespaces, run the program and write one line of JSON about its end to the status descriptor."""
    _die_with_parent()
    isolation = _leave_namespaces(spec["uid"] is None)
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


def _leave_namespaces(needs_user: bool) -> list[str]:
    """Leave as many of the machine's namespaces as the kernel allows; return their names.

    Whoever has no other user to become is nobody in a user namespace of its own.
    """
    wanted = {"pid": _NEW_PID, "net": _NEW_NET, "ipc": _NEW_IPC}
    uid, gid = os.geteuid(), os.getegid()
    for names in (("pid", "net", "ipc"), ("net", "ipc"), ("pid",), ()):
        for extra in (_NEW_USER, 0) if needs_user else (0, _NEW_USER):
            flags = sum(wanted[name] for name in names) | extra
            if flags and _libc.unshare(flags) == 0:
                if extra:
                    _become_nobody(uid, gid)
                return [*names, *(["user"] if extra else [])]
    return []


def _become_nobody(uid: int, gid: int) -> None:
    with contextlib.suppress(OSError):
        for name, text in (("setgroups", "deny"), ("uid_map", f"{_NOBODY} {uid} 1"), ("gid_map", f"{_NOBODY} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def _keep(spec: dict[str, Any], isolation: list[str]) -> None:
    _die_with_parent()
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    walls_read, walls_write = os.pipe()
    program = os.fork()
    if program == 0:
        try:
            _become_program(spec, isolation, walls_write)
        except BaseException as error:
            kind = "weak" if isinstance(error, SystemExit) else type(error).__name__
            os.write(2, f"sandbox: {kind}: {error}\n".encode())
        os._exit(127)
    for descriptor in (walls_write, *spec["keep_fds"]):
        os.close(descriptor)
    with open(walls_read) as walls:
        isolation += walls.read().split()
    watched = None if "mount" in isolation else spec["directory"]
    code, why = _wait(program, started + spec["wall_s"], watched, spec["disk_mb"] << 20)
    _kill_the_rest("pid" in isolation)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    end = {
        "exit_code": code,
        "timed_out": why == "time",
        "disk_full": why == "disk",
        "isolation": isolation,
        "seconds": time.monotonic() - started,
        "peak_mb": used.ru_maxrss / 1024,
        "cpu_s": used.ru_utime + used.ru_stime,
    }
    os.write(spec["status_fd"], json.dumps(end).encode() + b"\n")


def _wait(program: int, deadline: float, watched: str | None, most_bytes: int) -> tuple[int, str]:
    """Return the exit code, a negative signal number for a program that was killed, and why it was killed from here.

    Where nothing else bounds what the program writes, its directory is measured as it grows.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == program:
            return os.waitstatus_to_exitcode(status), ""
        if ended:
            continue
        left = deadline - time.monotonic()
        is_full = watched is not None and _is_larger(watched, most_bytes)
        if left <= 0 or is_full:
            os.kill(program, signal.SIGKILL)
            return -signal.SIGKILL, "disk" if is_full else "time"
        signal.sigtimedwait({signal.SIGCHLD}, left if watched is None else min(left, _POLL_S))


def _is_larger(directory: str, most_bytes: int) -> bool:
    """Return whether the files below a directory take more than that; what cannot be read any more takes nothing."""
    total, folders = 0, [directory]
    while folders and total <= most_bytes:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    total += 512 * status.st_blocks + 512
                    if stat.S_ISDIR(status.st_mode):
                        folders.append(entry.path)
    return total > most_bytes


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


def _become_program(spec: dict[str, Any], isolation: list[str], report: int) -> None:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.chdir(spec["directory"])
    keep = {0, 1, 2, *spec["keep_fds"]}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)
    os.umask(0o077)
    directory = _raise_walls(spec, isolation, report)
    os.close(report)
    for name, limit in spec["rlimits"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard - (name == "RLIMIT_CPU"))
        # One second after the soft limit on time, whose signal says why, comes the hard one, which cannot be caught.
        resource.setrlimit(number, (limit, limit + (name == "RLIMIT_CPU")))
    # A change of identity clears it, so it comes last.
    _die_with_parent()
    env = {name: value.replace(spec["directory"], directory) for name, value in spec["env"].items()}
    os.execve(spec["argv"][0], spec["argv"], env)


def _raise_walls(spec: dict[str, Any], isolation: list[str], report: int) -> str:
    """Shut the program off as far as the kernel allows, say how far, and return the directory that it runs in."""
    walls = runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sandbox_walls.py"))
    directory, built = spec["directory"], []
    has_network = "net" not in isolation
    try:
        uid = _NOBODY if spec["uid"] is None else spec["uid"]
        walls["build_root"](directory, spec["readable"], uid, spec["disk_mb"])
        directory, built = walls["BOX"], ["mount"]
    except OSError as error:
        if not spec["weak"]:
            raise SystemExit(f"no root of its own: {error}") from error
        os.chdir(directory)
    if not spec["weak"] and (has_network or "pid" not in isolation):
        raise SystemExit("no network or process namespace of its own")
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    built += ["landlock"] * walls["fence_files"](
        directory, spec["readable"], has_network=has_network, sees_processes="pid" not in isolation
    )
    if spec["uid"] is not None:
        os.setgroups([])
        os.setresgid(spec["uid"], spec["uid"], spec["uid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    elif "user" not in isolation:
        # A user's own processes may outnumber the limit already; in a user namespace the program's are counted alone.
        _libc.unshare(_NEW_USER)
    built += ["seccomp"] * walls["filter_calls"](sees_files="mount" not in built, has_network=has_network)
    os.write(report, " ".join(built).encode())
    return str(directory)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
