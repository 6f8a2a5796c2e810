"""Become a command that ends with whoever started it: `python lane_main.py PARENT COMMAND ...`.

A program that is killed cannot stop its commands, and one that lived on would hold the directory that the next call
wants to go on with. Linux tells a process of the end of the thread that started it, also across exec; elsewhere a
command outlives its starter.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, look whether the starter is still there, and become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
