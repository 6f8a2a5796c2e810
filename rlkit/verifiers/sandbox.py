"""Runs a program that nobody trusts: fresh processes, hard limits, and a view of the machine with nothing of it.

A program has a root, processes and a network of its own, as nobody or as a user of its own, behind Landlock and a
filter of system calls. It sees the system's libraries, the interpreter and its directory, whose files are gone with it.
Where the kernel gives no such root, network and processes, programs are refused unless `Limits(sandbox="weak")` says to
run them all the same, behind what is left.

What it is not: a wall against an attacker with a kernel exploit. Code from such a source belongs on another machine
(`executor_url` of `code_tests`).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlkit.errors import RewardError
from rlkit.parameters import check_choice, check_count, check_number
from rlkit.verifiers.private_directory import interpreter, private_directory

_CHILD = Path(__file__).with_name("sandbox_child.py")
_GRACE_S = 5.0
"""How much longer than its time a program may take before the keeper itself is taken for stuck."""

_TOGETHER = {
    "processes": "more than {0.processes} processes and threads at a time",
    "memory": "its processes together took more than {0.memory_mb} MiB of memory",
}
"""What a program is ended for beside its time and its files."""

Status = Literal["finished", "crashed", "timeout", "output"]


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Raises:
        ConfigError: a limit is out of range.
    """

    wall_s: float = 10.0
    """Seconds by the clock."""
    cpu_s: int = 10
    """Seconds of processor time of each process."""
    memory_mb: int = 512
    """MiB of address space of each process, and of memory that all of them take together."""
    file_mb: int = 16
    """Largest file."""
    disk_mb: int = 64
    """All files together."""
    processes: int = 16
    """Processes and threads at one time."""
    open_files: int = 64
    output_kb: int = 1024
    """Bytes on standard output and standard error together; a program that writes more is killed."""
    sandbox: str = "strong"
    """`strong` refuses to run programs where the kernel gives them no root, network and processes of their own; `weak`
    runs them with what there is: they may then reach what every process of this user may reach."""

    def __post_init__(self) -> None:
        """Check every limit."""
        check_number("Limits", "wall_s", self.wall_s, above=0)
        check_choice("Limits", "sandbox", self.sandbox, ("strong", "weak"))
        for name in ("cpu_s", "memory_mb", "file_mb", "disk_mb", "processes", "open_files", "output_kb"):
            check_count("Limits", name, getattr(self, name))

    def as_rlimits(self) -> dict[str, int]:
        """Return the kernel's names of the limits with their values."""
        return {
            "RLIMIT_CPU": self.cpu_s,
            "RLIMIT_AS": self.memory_mb << 20,
            "RLIMIT_FSIZE": self.file_mb << 20,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True)
class SandboxResult:
    """How a program ended."""

    status: Status
    """`finished` with exit code 0; `crashed` with another code or by a signal; `timeout`; `output`: wrote too much."""
    exit_code: int | None
    """Negative: the number of the signal that ended it; None where it was killed from here."""
    stdout: str
    stderr: str
    seconds: float
    isolation: tuple[str, ...] = ()
    """What shut it off: namespaces of its own (`pid`, `net`, `ipc`, `user`), a root of its own (`mount`), `landlock`,
    `seccomp`."""


def run_sandboxed(
    argv: Sequence[str],
    *,
    files: Mapping[str, str] | None = None,
    stdin: str = "",
    limits: Limits | None = None,
    pass_fds: Sequence[int] = (),
) -> SandboxResult:
    """Run a program until it ends, then kill all that it started.

    Args:
        argv: the program and its words, seen from the private directory; `{python}` stands for the interpreter that
            this environment was made from, without the environment's packages.
        files: name -> text, written into the private directory, which is removed afterwards.
        stdin: what it can read.
        limits: what it may use.
        pass_fds: descriptors that it inherits under the same numbers; they are closed here, as they now belong to it,
            also where nothing could be started.

    Raises:
        RewardError: no program can be started on this machine; never for what a program does.
    """
    limits = limits or Limits()
    open_fds = list(pass_fds)
    try:
        with private_directory(files or {}, sees_files=limits.sandbox == "weak") as (directory, uid):
            words = [interpreter() if word == "{python}" else word for word in argv]
            run = _Run(words, directory, uid, limits, open_fds)
            return run.finish(stdin.encode(errors="replace"))
    finally:
        for descriptor in open_fds:
            os.close(descriptor)


def run_python(program: str, *, stdin: str = "", limits: Limits | None = None) -> SandboxResult:
    """Run the text of a Python program with `run_sandboxed`; it sees the standard library alone."""
    return run_sandboxed(
        ["{python}", "-I", "-X", "int_max_str_digits=0", "main.py"],
        files={"main.py": program},
        stdin=stdin,
        limits=limits,
    )


def describe_sandbox() -> str:
    """Return in a line what shuts programs off from this machine, or why nothing that holds does."""
    try:
        return f"strong: {', '.join(run_python('').isolation)}"
    except RewardError as error:
        return f"none: {error}"


class _Run:
    """One program with the pipes to it."""

    def __init__(self, words: list[str], directory: str, uid: int | None, limits: Limits, pass_fds: list[int]) -> None:
        self._limits = limits
        self._status_fd, status_write = os.pipe()
        spec = {
            "argv": words,
            "directory": directory,
            "uid": uid,
            "starter": os.getpid(),
            "readable": [os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)],
            "wall_s": limits.wall_s,
            "rlimits": limits.as_rlimits(),
            "disk_mb": limits.disk_mb,
            "weak": limits.sandbox == "weak",
            "status_fd": status_write,
            "keep_fds": list(pass_fds),
            "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": directory, "TMPDIR": directory, "LANG": "C.UTF-8"},
        }
        try:
            self._process = subprocess.Popen(
                [interpreter(), "-I", "-S", str(_CHILD), json.dumps(spec)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[status_write, *pass_fds],
                start_new_session=True,
                env={},
                bufsize=0,
            )
        except OSError as error:
            os.close(self._status_fd)
            raise RewardError(f"The sandbox cannot start a process: {error.strerror}.") from error
        finally:
            for descriptor in (status_write, *pass_fds):
                os.close(descriptor)
            pass_fds.clear()

    def finish(self, stdin: bytes) -> SandboxResult:
        """Feed, read and wait; whatever happens, nothing of the program outlives this call."""
        started = time.monotonic()
        try:
            texts, status_line, too_much = self._exchange(stdin, started + self._limits.wall_s + _GRACE_S)
        finally:
            self._end()
        seconds = time.monotonic() - started
        out, err = (text.decode(errors="replace") for text in texts)
        end: dict[str, Any] = json.loads(status_line) if status_line.endswith(b"\n") else {}
        isolation = tuple(end.get("isolation", ()))
        if "fault" in end:
            raise RewardError(f"The sandbox cannot run its program: {end['fault']}.")
        if too_much:
            return SandboxResult("output", None, out, err, seconds, isolation)
        if not end:
            # The keeper was killed, by the program where it has no process namespace, or is stuck.
            status: Status = "timeout" if seconds >= self._limits.wall_s else "crashed"
            return SandboxResult(status, None, out, err, seconds, isolation)
        if end["why"] == "disk":
            return SandboxResult("output", None, out, err, seconds, isolation)
        if end["why"] in _TOGETHER:
            err += f"\nsandbox: ended: {_TOGETHER[end['why']].format(self._limits)}."
            return SandboxResult("crashed", None, out, err, seconds, isolation)
        if end["why"] == "time" or end["exit_code"] == -signal.SIGXCPU:
            return SandboxResult("timeout", None, out, err, seconds, isolation)
        if end["exit_code"] == -signal.SIGKILL and end["cpu_s"] >= self._limits.cpu_s:
            return SandboxResult("timeout", None, out, err, seconds, isolation)
        code = end["exit_code"]
        if code == 127 and err.startswith("sandbox: weak: "):
            reason = err.splitlines()[0].removeprefix("sandbox: weak: ")
            raise RewardError(
                f"This machine cannot shut programs off from its files and network ({reason}); allow user "
                "namespaces (docs/isolation.md), run them on another machine (executor_url), or write sandbox: weak to "
                "run them all the same."
            )
        if code == 127 and err.startswith("sandbox: "):
            raise RewardError(f"The sandbox cannot run its program: {err.splitlines()[0].removeprefix('sandbox: ')}.")
        return SandboxResult("finished" if code == 0 else "crashed", code, out, err, seconds, isolation)

    def _exchange(self, stdin: bytes, deadline: float) -> tuple[tuple[bytes, bytes], bytes, bool]:
        """Write the input and read everything until all pipes end, the output is too long, or the deadline."""
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        into = self._process.stdin.fileno()
        read = {self._process.stdout.fileno(): bytearray(), self._process.stderr.fileno(): bytearray()}
        read[self._status_fd] = bytearray()
        out, err = list(read)[:2]
        waiting = memoryview(stdin)
        os.set_blocking(into, False)
        with selectors.DefaultSelector() as selector:
            for fd in read:
                selector.register(fd, selectors.EVENT_READ)
            selector.register(into, selectors.EVENT_WRITE)
            while len(selector.get_map()) and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if key.fd == into:
                        waiting = self._feed(waiting, selector)
                        continue
                    chunk = os.read(key.fd, 1 << 16)
                    read[key.fd] += chunk
                    if not chunk:
                        selector.unregister(key.fd)
                if len(read[out]) + len(read[err]) > self._limits.output_kb << 10:
                    return (bytes(read[out]), bytes(read[err])), bytes(read[self._status_fd]), True
                # The keeper speaks when all is over; what nobody reads any more may stay in the pipes.
                if read[self._status_fd].endswith(b"\n") and into in selector.get_map():
                    selector.unregister(into)
        return (bytes(read[out]), bytes(read[err])), bytes(read[self._status_fd]), False

    def _feed(self, waiting: memoryview, selector: selectors.BaseSelector) -> memoryview:
        assert self._process.stdin
        try:
            waiting = waiting[os.write(self._process.stdin.fileno(), waiting[: 1 << 16]) :]
        except BlockingIOError:
            return waiting
        except BrokenPipeError:
            waiting = memoryview(b"")
        if not waiting:
            selector.unregister(self._process.stdin)
            self._process.stdin.close()
        return waiting

    def _end(self) -> None:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            self._process.send_signal(signal_number)
            try:
                self._process.wait(_GRACE_S / 5)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        os.close(self._status_fd)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()
