"""One worker, seen from the program: started, asked, listened to, killed."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkit.workers.wire import HEADER, MOST_BYTES, decode_message, frame

_PROGRAM = Path(__file__).with_name("worker_main.py")
_LAST_WORDS = 4000
"""Bytes of a worker's output that are kept; the rest is read and forgotten, lest it fill the memory."""
_TELL_S = 0.2
"""Seconds that a late worker gets to say where it is."""
_END_S = 5.0
"""Seconds that a guard gets to kill everything below it before it is killed itself."""


class WorkerProcess:
    """A process of its own group that calls one function; neither forked from this one nor able to see a GPU."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        """Start it; `ready` or `refused` is its first message.

        Args:
            setup: what `worker_main` reads first.

        Raises:
            OSError: the system has no room for another process.
        """
        self.is_ready = False
        self.num_calls = 0
        self.call: int | None = None
        """Index of the call that it is at, if any."""
        self.deadline = float("inf")
        """When its present call, or its start, is given up; in seconds of `time.monotonic`."""
        self.pid = 0
        self.is_mute = False
        """Whether it has closed what it could print to."""
        self.last_words = b""
        self.num_printed = 0
        """Bytes that it has printed in its present call."""
        self._received = bytearray()
        self.channel, theirs = socket.socketpair()
        life, self._life = os.pipe()
        self.output, output = os.pipe()
        os.set_blocking(self.output, False)
        try:
            self.process = self._start(theirs.fileno(), life, output)
        except BaseException:
            self._close_pipes()
            raise
        finally:
            theirs.close()
            os.close(life)
            os.close(output)
        self._send(pickle.dumps(dict(setup)), timeout_s=_END_S)

    def _start(self, control: int, life: int, output: int) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-P", str(_PROGRAM), str(control), str(life), str(os.getpid())]
        # No GPU: a verifier that touches one would take memory from the trainer, and hang with it.
        surroundings = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
        surroundings.setdefault("OMP_NUM_THREADS", "1")
        return subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(control, life),
            env=surroundings,
            start_new_session=True,
        )

    def ask(self, call: int, data: bytes, deadline_s: float) -> None:
        """Send one call; a worker that does not even read it by the deadline counts as silent."""
        self.call, self.deadline = call, time.monotonic() + deadline_s
        self.num_calls += 1
        self.drain()
        self.num_printed = 0
        self._send(data, deadline_s)

    def _send(self, data: bytes, timeout_s: float) -> None:
        self.channel.settimeout(timeout_s)
        # One that is dead or stuck is found by listening to it.
        with contextlib.suppress(OSError):
            self.channel.sendall(frame(data))

    def listen(self) -> list[dict[str, Any]]:
        """Return its messages of which all is there; none while the next is under way.

        Raises:
            EOFError: the process is gone, or speaks nonsense.
        """
        self.channel.settimeout(0)
        try:
            chunk = self.channel.recv(2**20)
        except BlockingIOError:
            return []
        except OSError as error:
            raise EOFError from error
        if not chunk:
            raise EOFError
        self._received += chunk
        messages = []
        try:
            while (data := self._next_frame()) is not None:
                messages.append(decode_message(data))
        except ValueError as error:
            raise EOFError from error
        return messages

    def _next_frame(self) -> bytes | None:
        if len(self._received) < HEADER.size:
            return None
        end = HEADER.size + HEADER.unpack_from(self._received)[0]
        if end > HEADER.size + MOST_BYTES:
            raise ValueError("a message of that length is none")
        if len(self._received) < end:
            return None
        data = bytes(self._received[HEADER.size : end])
        del self._received[:end]
        return data

    def drain(self) -> None:
        """Read what it printed and keep the end of it."""
        try:
            chunk = os.read(self.output, 2**20)
        except OSError:
            return
        self.is_mute = not chunk
        self.num_printed += len(chunk)
        self.last_words = (self.last_words + chunk)[-_LAST_WORDS:]

    def ask_where(self) -> str | None:
        """Return the Python stack that a worker is stuck in, which even one inside a C function can tell."""
        if not self.pid:
            return None
        self.drain()
        self.last_words = b""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGUSR1)
        end = time.monotonic() + _TELL_S
        while b"worker_main.py" not in self.last_words and not self.is_mute and time.monotonic() < end:
            select.select([self.output], [], [], _TELL_S / 10)
            self.drain()
        return self.say_last()

    def say_last(self) -> str | None:
        """Return the end of what it printed, without the calls that are ours."""
        lines = self.last_words.decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if "worker_main.py" not in line).strip() or None

    def end(self) -> str:
        """Kill it with all that it started, and return how it ended, as the end of a sentence."""
        self.drain()
        self._close_pipes()
        with contextlib.suppress(OSError):
            # A guard that the plug-in stopped ends nobody.
            self.process.send_signal(signal.SIGCONT)
        try:
            code = self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            code = self.process.wait()
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def let_go(self) -> None:
        """Forget it in a forked copy of the trainer, where it is another process's worker."""
        self._close_pipes()

    def _close_pipes(self) -> None:
        with contextlib.suppress(OSError):
            self.channel.close()
        for end in (self._life, self.output):
            with contextlib.suppress(OSError):
                os.close(end)
        self._life = self.output = -1
