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
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

_NEW_USER, _NEW_PID, _NEW_NET, _NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_NOBODY = 65534
_POLL_S = 0.02
_libc = ctypes.CDLL(None, use_errno=True)


def main(spec: dict[str, Any]) -> None:
    """Set up namespaces, run the program and write one line of JSON about its end to the status descriptor."""
    _die_with(spec["starter"])
    isolation = _leave_namespaces(spec)
    # Only this process holds its writing end: the keeper sees it close, however this process ends.
    watched, life = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(life)
        with _fault_told(spec["status_fd"]):
            _keep(spec, isolation, watched)
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda *_: os.close(life))
    # Held open here, they would keep readers waiting for an end that has come.
    for descriptor in (0, 1, 2, watched, *spec["keep_fds"]):
        os.close(descriptor)
    os.waitpid(keeper, 0)


def _leave_namespaces(spec: dict[str, Any]) -> list[str]:
    """Leave as many of the machine's namespaces as the kernel allows; return their names.

    Whoever has no other user to become is nobody in a user namespace of its own.
    """
    wanted = {"pid": _NEW_PID, "net": _NEW_NET, "ipc": _NEW_IPC}
    for names in (("pid", "net", "ipc"), ("net", "ipc"), ("pid",), ()):
        for extra in (_NEW_USER, 0) if spec["uid"] is None else (0, _NEW_USER):
            flags = sum(wanted[name] for name in names) | extra
            if not flags:
                continue
            if extra:
                has_left = _leave_user(flags, spec)
            else:
                has_left = _libc.unshare(flags) == 0
            if has_left:
                return [*names, *(["user"] if extra else [])]
    return []


def _leave_user(flags: int, spec: dict[str, Any]) -> bool:
    """Leave for a user namespace, in which this user is nobody and the program's, if it has one, keeps its number."""
    uid, gid, me, other = os.geteuid(), os.getegid(), os.getpid(), spec["uid"]
    if other is None:
        if _libc.unshare(flags) != 0:
            return False
        with contextlib.suppress(OSError):
            _write_maps("self", f"{_NOBODY} {uid} 1", f"{_NOBODY} {gid} 1", denies_groups=True)
        return True
    # Two users at once can be named only by a process that stays outside.
    left_read, left_write = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(left_write)
        done = 1
        if os.read(left_read, 1):
            with contextlib.suppress(OSError):
                lines = (f"{_NOBODY} {number} 1\n{other} {other} 1" for number in (uid, gid))
                _write_maps(str(me), *lines, denies_groups=False)
                done = 0
        os._exit(done)
    os.close(left_read)
    has_left = _libc.unshare(flags) == 0
    if has_left:
        os.write(left_write, b"1")
    os.close(left_write)
    is_mapped = os.waitpid(mapper, 0)[1] == 0
    if has_left and not is_mapped:
        raise PermissionError("this user may not name two users in a namespace")
    return has_left


def _write_maps(process: str, uids: str, gids: str, *, denies_groups: bool) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", uids), ("gid_map", gids)):
        if name != "setgroups" or denies_groups:
            with open(f"/proc/{process}/{name}", "w") as file:
                file.write(text)


def _keep(spec: dict[str, Any], isolation: list[str], watched: int) -> None:
    owns_pids = "pid" in isolation
    if owns_pids:
        # Its end is the end of all in its namespace; elsewhere it ends them itself, before it goes.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    walls_read, walls_write = os.pipe()
    keeper = os.getpid()
    program = os.fork()
    if program == 0:
        try:
            _become_program(spec, isolation, walls_write, keeper)
        except BaseException as error:
            kind = "weak" if isinstance(error, SystemExit) else type(error).__name__
            os.write(2, f"sandbox: {kind}: {error}\n".encode())
        os._exit(127)
    with contextlib.suppress(OSError):
        # What the program starts takes turns with the process that ends it.
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    for descriptor in (walls_write, *spec["keep_fds"]):
        os.close(descriptor)
    with open(walls_read) as walls:
        isolation += walls.read().split()
    watch = _Watch(spec, watched, None if "mount" in isolation else spec["directory"])
    code, why = watch.wait(program, started + spec["wall_s"])
    watch.kill_the_rest(owns_pids)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    end = {
        "exit_code": code,
        "why": why,
        "isolation": isolation,
        "seconds": time.monotonic() - started,
        "peak_mb": used.ru_maxrss / 1024,
        "cpu_s": used.ru_utime + used.ru_stime,
    }
    os.write(spec["status_fd"], json.dumps(end).encode() + b"\n")


class _Watch:
    """What the keeper looks at while the program runs."""

    def __init__(self, spec: dict[str, Any], watched: int, folder: str | None) -> None:
        self._census = _load("sandbox_census.py")
        # Its number in the /proc that it sees, which is not that of its own namespace.
        self._number = int(os.readlink("/proc/self")) if os.path.exists("/proc/self") else 0
        self._most = spec["rlimits"]["RLIMIT_NPROC"], spec["rlimits"]["RLIMIT_AS"]
        self._folder, self._most_on_disk = folder, spec["disk_mb"] << 20
        self._life = select.poll()
        self._life.register(watched, select.POLLHUP)

    def wait(self, program: int, deadline: float) -> tuple[int, str]:
        """Return the exit code, a negative signal number for a program that was killed, and why it is to be ended."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == program:
                return os.waitstatus_to_exitcode(status), ""
            if ended:
                continue
            left = deadline - time.monotonic()
            if why := "time" if left <= 0 else self._look():
                return -signal.SIGKILL, why
            signal.sigtimedwait({signal.SIGCHLD}, min(left, _POLL_S))

    def _look(self) -> str:
        if self._life.poll(0):
            return "left"
        # Where nothing else bounds what the program writes, its directory is measured as it grows.
        if self._folder is not None and _is_larger(self._folder, self._most_on_disk):
            return "disk"
        return str(self._census["exceeded"](self._number, *self._most))

    def kill_the_rest(self, owns_pids: bool) -> None:
        """Kill every process the program started: all of the namespace, or all descendants until none is left."""
        while True:
            if owns_pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
            else:
                self._kill_below()
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _kill_below(self) -> None:
        """Stop all descendants, until no new one has come that could start others, and then kill them."""
        stopped: set[int] = set()
        while new := {*self._census["find_below"](self._number)} - stopped:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            stopped |= new
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


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


def _become_program(spec: dict[str, Any], isolation: list[str], report: int, keeper: int) -> None:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.chdir(spec["directory"])
    keep = {0, 1, 2, *spec["keep_fds"]}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)
    # The folders of its root are made by another user than the one that it becomes.
    os.umask(0o022)
    directory = _raise_walls(spec, isolation, report)
    os.umask(0o077)
    os.close(report)
    for name, limit in spec["rlimits"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard - (name == "RLIMIT_CPU"))
        # One second after the soft limit on time, whose signal says why, comes the hard one, which cannot be caught.
        resource.setrlimit(number, (limit, limit + (name == "RLIMIT_CPU")))
    # A change of identity clears it, so it comes last.
    _die_with(keeper)
    env = {name: value.replace(spec["directory"], directory) for name, value in spec["env"].items()}
    os.execve(spec["argv"][0], spec["argv"], env)


def _raise_walls(spec: dict[str, Any], isolation: list[str], report: int) -> str:
    """Shut the program off as far as the kernel allows, say how far, and return the directory that it runs in."""
    walls = _load("sandbox_walls.py")
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


@contextlib.contextmanager
def _fault_told(status_fd: int) -> Iterator[None]:
    """Say what went wrong here, which is no fault of the program."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(status_fd, json.dumps({"fault": f"{type(error).__name__}: {error}"}).encode() + b"\n")


def _load(name: str) -> dict[str, Any]:
    return runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone, and end it at once where that was before."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    with _fault_told(given["status_fd"]):
        main(given)
