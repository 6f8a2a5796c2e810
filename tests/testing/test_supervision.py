"""A check ends, with a verdict, whatever the reward does: each of these once hung it, ended it or passed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlkit.testing import check_reward, examine_reward
from tests.rewards.processes import children_named, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 25

HEAD = "import ctypes, os, re, rlkit, signal, subprocess, sys, threading, time\nCASES = [('aaaa', 1.0), ('b', 1.0)]\n"
PLAIN = HEAD + "def mine(completions, **columns):\n    {body}\n    return [1.0] * len(completions)\n"
ASYNC = HEAD + "@rlkit.reward\nasync def mine(completion):\n    {body}\n    return 1.0\n"
AT_IMPORT = "import os, sys, time\n{body}\ndef mine(completions, **columns):\n    return [1.0] * len(completions)\n"

SPIN = "threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon={daemon}).start()"
FAULTS = {
    "backtracks": (PLAIN, r"re.match(r'(a+)+$', 'a' * 60 + 'b')", "time"),
    "sleeps": (PLAIN, "time.sleep(600)", "time"),
    "spins a thread": (PLAIN, SPIN.format(daemon=False), "remains"),
    "spins a daemon": (PLAIN, SPIN.format(daemon=True), "remains"),
    "leaves a thread": (PLAIN, "threading.Thread(target=time.sleep, args=(600,)).start()", "remains"),
    "forks": (PLAIN, "os.fork()", "remains"),
    "leaves a process": (PLAIN, "subprocess.Popen(['sleep', '654'])", "remains"),
    "leaves a daemon": (PLAIN, "subprocess.run(['sh', '-c', 'setsid sleep 654 &'])", "remains"),
    "exits": (PLAIN, "os._exit(0)", "cases"),
    "prints and exits": (PLAIN, "print('done', flush=True); os._exit(0)", "cases"),
    "floods": (PLAIN, "os.write(1, b'\\x1b[31m' * 100_000)", "output"),
    "floods for ever": (PLAIN, "[os.write(1, b'x' * 9999) for _ in iter(int, 1)]", "time"),
    "kills itself": (PLAIN, "os.kill(os.getpid(), signal.SIGTERM)", "cases"),
    "kills its parent": (PLAIN, "os.kill(os.getppid(), signal.SIGKILL)", "cases"),
    "stops its parent": (PLAIN, "os.kill(os.getppid(), signal.SIGSTOP)", "time"),
    "stops itself": (PLAIN, "os.kill(os.getpid(), signal.SIGSTOP)", "time"),
    "closes everything": (PLAIN, "os.closerange(0, 500)", "cases"),
    "eats memory": (PLAIN, "[bytearray(10**8) for _ in iter(int, 1)]", "cases"),
    "segfaults": (PLAIN, "ctypes.string_at(0)", "cases"),
    "changes the folder": (PLAIN, "os.chdir('/')", "state"),
    "holds up the loop": (ASYNC, "time.sleep(600)", "time"),
    "exits in the loop": (ASYNC, "os._exit(0)", "cases"),
    "forks in the loop": (ASYNC, "os.fork()", "remains"),
    "exits when imported": (AT_IMPORT, "os._exit(0)", "process"),
    "sleeps when imported": (AT_IMPORT, "time.sleep(600)", "time"),
}
"""The file, what the reward does in it, and one check that fails."""


@pytest.mark.parametrize("fault", [*FAULTS])
def test_there_is_a_verdict_in_time(fault, tmp_path):
    form, body, failed = FAULTS[fault]
    (tmp_path / "mine.py").write_text(form.replace("{body}", body))
    started = time.monotonic()
    words = ["rewards", "check", str(tmp_path / "mine.py"), "--budget", "2", "--deadline", str(DEADLINE_S)]
    ran = subprocess.run(
        [sys.executable, "-m", "rlkit", *words], capture_output=True, cwd=ROOT, timeout=120, stdin=subprocess.DEVNULL
    )
    assert time.monotonic() - started < DEADLINE_S + 5 + 10, "10 for starting Python twice on a busy machine"
    assert ran.returncode == 1, ran.stderr
    said = ran.stdout.decode()
    assert f"  failed  {failed} " in said, said
    assert "Failed: " in said.splitlines()[-1]
    assert b"\x1b" not in ran.stdout
    assert ran.stderr == b""
    assert len(ran.stdout) < 10_000
    assert wait_until(lambda: not children_named("sleep 654"))


def test_a_file_without_cases_gets_the_checks_that_need_none(tmp_path):
    (tmp_path / "mine.py").write_text("import rlkit\n@rlkit.reward\ndef mine(completion):\n    return 1.0\n")
    report = check_reward(str(tmp_path / "mine.py"))
    skipped = {check.name for check in report.checks.values() if check.status == "skipped"}
    assert skipped == {"cases", "chat", "gaming"}
    assert "there is no CASES beside mine" in report.checks["cases"].skipped
    (tmp_path / "first.py").write_text(
        "def first(completions, **k):\n    return [ord(text[0]) for text in completions]\n"
    )
    assert "IndexError" in str(examine_reward(str(tmp_path / "first.py")).checks["empty"].failures)


def test_a_reward_without_cases_that_reads_a_column_is_told_to_give_it(tmp_path):
    (tmp_path / "mine.py").write_text("import rlkit\n@rlkit.reward\ndef mine(completion, gold):\n    return 1.0\n")
    report = examine_reward(str(tmp_path / "mine.py"))
    assert "missing a required argument: 'gold'" in report.checks["cases"].failures[0]


def test_what_an_error_says_does_not_draw_on_the_terminal(tmp_path):
    (tmp_path / "mine.py").write_text(
        PLAIN.replace("{body}", "raise ValueError('\\x1b]0;owned\\x07\\u202e') if completions[0] == '' else None")
    )
    report = examine_reward(str(tmp_path / "mine.py"))
    assert r"\x1b]0;owned\x07\u202e" in report.checks["empty"].failures[0]


def test_a_function_of_this_program_only_is_examined_here():
    owner = os.getpid()

    def mine(completions, **columns):
        assert os.getpid() == owner
        return [1.0] * len(completions)

    report = examine_reward(mine, [("a", 1.0)])
    assert [check.name for check in report.checks.values() if check.failures] == ["pickle"]
