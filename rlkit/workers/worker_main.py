"""The program of a worker: a guard that nothing outlives, and the process under it that calls the plug-in.

    python -P worker_main.py CONTROL_FD LIFE_FD PARENT_PID

The guard imports nothing of ours and runs nothing of the user's. It waits until the trainer closes its end of the life
pipe, the trainer is gone (kill -9 included), or the worker is gone; then it kills the worker's process group and, being
their subreaper, whatever the plug-in started in other sessions, and ends as the worker ended.

The worker calls the function on its main thread, so that verifiers that use SIGALRM work.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_S = 0.5
"""Seconds between looks at whether the trainer lives: forked copies of it may hold the life pipe open."""


def main() -> None:
    """Part into guard and worker."""
    control, life, parent = map(int, sys.argv[1:4])
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    guard = os.getpid()
    worker = os.fork()
    if worker:
        os.close(control)
        _guard(worker, life, parent)
    os.close(life)
    os.setpgid(0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(1)
    _serve(control, guard)


def _guard(worker: int, life: int, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setpgid(worker, worker)
    handle = os.pidfd_open(worker)
    waiting = select.poll()
    waiting.register(life, select.POLLIN | select.POLLHUP)
    waiting.register(handle, select.POLLIN)
    while not waiting.poll(_LOOK_S * 1000) and os.getppid() == parent:
        pass
    status = _kill_all(worker)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _kill_all(worker: int) -> int:
    """Kill the worker's group and every other descendant; return how the worker ended, as `os.wait` says it."""
    status = 0
    with contextlib.suppress(OSError):
        os.killpg(worker, signal.SIGKILL)
    while True:
        for child in _children():
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        try:
            # Those whose parent has died become children of the guard, and so come by here in turn.
            pid, how = os.wait()
        except ChildProcessError:
            return status
        status = how if pid == worker else status


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        # A kernel without this file: the process group is all that can be found.
        return []


def _serve(control: int, guard: int) -> None:
    import socket

    os.set_inheritable(control, False)
    channel = socket.socket(fileno=control)
    setup = _read_setup(channel)
    sys.path[:] = setup["sys_path"]
    from rlkit.errors import say_error, trace_error
    from rlkit.workers import wire
    from rlkit.workers.guard_watch import stay_in_this_call

    try:
        function = _load(setup)
    except BaseException as error:
        told = {"reason": say_error(error), "traceback": trace_error(error)}
        channel.sendall(wire.encode_message({"kind": "refused", **told}))
        os._exit(0)
    wire.open_channel(channel, guard)
    channel.sendall(wire.encode_message({"kind": "ready", "pid": os.getpid()}))
    me = os.getpid()
    while True:
        data = _read_frame(channel)
        reply = _call(function, data)
        if os.getpid() != me:
            # A plug-in that forked came back twice; only one may answer.
            os._exit(0)
        stay_in_this_call(guard)
        channel.sendall(reply)


def _read_setup(channel: Any) -> dict[str, Any]:
    import pickle

    setup: dict[str, Any] = pickle.loads(_read_frame(channel))
    return setup


def _load(setup: dict[str, Any]) -> Any:
    import faulthandler
    import importlib
    import resource

    from rlkit.plugins import load_target
    from rlkit.workers import wire

    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if setup["memory_bytes"] is not None:
        # Data counts what a process may write; the address space would count what libraries merely reserve.
        resource.setrlimit(resource.RLIMIT_DATA, (setup["memory_bytes"], setup["memory_bytes"]))
    for name in setup["preload"]:
        importlib.import_module(name)
    if setup["target"] is not None:
        return load_target(setup["target"], "reward")
    return wire.unpack(setup["function"])


def _call(function: Any, data: bytes) -> bytes:
    from rlkit.errors import say_error, trace_error
    from rlkit.workers import wire

    try:
        return _pass_on(function(**wire.unpack(data)))
    except BaseException as error:
        told = {"reason": say_error(error), "traceback": trace_error(error)}
        return wire.encode_message({"kind": "error", **told, "is_spent": isinstance(error, MemoryError)})
    finally:
        # An alarm that is left behind would end a later call.
        signal.setitimer(signal.ITIMER_REAL, 0)


def _pass_on(value: Any) -> bytes:
    from rlkit.workers import wire

    try:
        return wire.encode_message({"kind": "ok", "value": wire.plain(value)})
    except (TypeError, ValueError, RecursionError) as error:
        return wire.encode_message({"kind": "error", "reason": f"It returned what cannot travel: {error}."})


def _read_frame(channel: Any) -> bytes:
    """Return the next frame; the trainer's end being closed ends the process."""
    header = _read(channel, 8)
    return _read(channel, int.from_bytes(header, "big"))


def _read(channel: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = channel.recv(min(size - len(data), 2**20))
        if not chunk:
            os._exit(0)
        data += chunk
    return bytes(data)


if __name__ == "__main__":
    main()
