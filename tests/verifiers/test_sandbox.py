"""The sandbox against programs that behave as badly as they can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlkit.errors import ConfigError
from rlkit.verifiers.sandbox import Limits, SandboxResult, _remove_tree, run_python, run_sandboxed

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

FAST = Limits(wall_s=3.0, cpu_s=1, memory_mb=256, file_mb=1, processes=8, output_kb=64)


def run(program: str, stdin: str = "", limits: Limits = FAST) -> SandboxResult:
    return run_python(program, stdin=stdin, limits=limits)


def isolates(*names: str) -> bool:
    return set(names) <= set(run("").isolation)


def marked_processes(mark: str) -> list[str]:
    """Return the command lines of all processes of this machine that hold a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            found += [line] if mark in line else []
    return found


def test_a_program_reads_its_input_and_its_output_comes_back():
    result = run("import sys; print(input()[::-1]); print('warned', file=sys.stderr)", "abc\n")
    assert (result.status, result.exit_code) == ("finished", 0)
    assert (result.stdout, result.stderr) == ("cba\n", "warned\n")


def test_input_that_nobody_reads_does_not_hang():
    started = time.monotonic()
    assert run("", "x" * (1 << 22)).status == "finished"
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("while True: pass", "timeout"),
        ("import time; time.sleep(60)", "timeout"),
        ("import re; re.match(r'(a+)+$', 'a' * 40 + 'b')", "timeout"),
        ("import os; os._exit(3)", "crashed"),
        ("import ctypes; ctypes.string_at(0)", "crashed"),
        ("import os; os.abort()", "crashed"),
        ("x = 'a' * (10 << 30)", "crashed"),
        ("raise SystemExit(1)", "crashed"),
        ("while True: print('x' * 10000)", "output"),
        ("import os\nwhile True: os.write(2, b'x' * 10000)", "output"),
        ("f = open('big', 'wb')\nwhile True: f.write(b'0' * (1 << 20)); f.flush()", "crashed"),
    ],
)
def test_what_goes_wrong_is_told_apart_and_ends_in_time(program, status):
    started = time.monotonic()
    assert run(program).status == status
    assert time.monotonic() - started < 8


def test_a_fork_bomb_ends_and_leaves_nothing():
    started = time.monotonic()
    assert run("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass").status == "timeout"
    assert time.monotonic() - started < 9
    assert not marked_processes("rlkit-sandbox")


def test_processes_left_behind_are_killed_even_out_of_session_and_group():
    program = (
        "import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n"
        "    os.execvp('sleep', ['sleep', '86413'])\n  os._exit(0)\nos.wait(); time.sleep(0.3)"
    )
    assert run(program).status == "finished"
    assert not marked_processes("86413")


def test_the_number_of_processes_is_limited():
    result = run("import threading, time\nfor _ in range(50): threading.Thread(target=time.sleep, args=(9,)).start()")
    assert "can't start new thread" in result.stderr or result.status == "timeout"


def test_the_program_sees_no_environment_and_only_its_own_files(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    result = run_sandboxed(
        ["{python}", "-c", "import os; print(sorted(os.listdir('.')), 'SECRET_TOKEN' in os.environ)"],
        files={"data.txt": "1"},
        limits=FAST,
    )
    assert result.stdout == "['data.txt'] False\n"


def test_files_outside_its_directory_cannot_be_changed_nor_a_users_files_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush")
    tmp_path.chmod(0o755)
    reading = run(f"print(open({str(secret)!r}).read())")
    writing = run(f"open({str(secret)!r}, 'w')")
    assert (writing.status, secret.read_text()) == ("crashed", "hush")
    assert reading.status == "crashed", "where the kernel has no Landlock, world-readable files can be read"


def test_the_private_directory_is_removed():
    where = run("import os; print(os.getcwd())").stdout.strip()
    assert where
    assert not Path(where).exists()


def test_a_directory_nested_deeper_than_recursion_goes_is_removed_too():
    nested = run_python(
        "import os\nprint(os.getcwd())\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nopen('file', 'w')"
    )
    assert nested.status == "finished"
    assert not Path(nested.stdout.strip()).exists()


def test_a_directory_whose_rights_were_taken_away_is_removed_too(tmp_path):
    (tmp_path / "top" / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "top" / "a" / "link").symlink_to(tmp_path)
    for shut in ("top/a/b/c", "top/a/b", "top/a", "top"):
        (tmp_path / shut).chmod(0)
    _remove_tree(str(tmp_path / "top"))
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_network_where_the_kernel_can_take_it_away():
    if not isolates("net"):
        pytest.skip("this kernel gives no network namespace")
    result = run("import socket; socket.create_connection(('127.0.0.1', 9), 1)")
    assert "unreachable" in result.stderr or "refused" in result.stderr
    assert "unreachable" in run("import socket; socket.create_connection(('203.0.113.1', 80), 1)").stderr


def test_a_program_cannot_kill_its_keeper():
    result = run("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nprint('still here')")
    assert result.status in ("finished", "crashed")
    if isolates("pid"):
        assert result.stdout == "still here\n"


def test_nothing_survives_a_kill_of_the_process_that_started_it(tmp_path):
    program = """if True:
        from rlkit.verifiers.sandbox import Limits, run_python
        run_python("import os, time; open('started', 'w'); time.sleep(86417)", limits=Limits(wall_s=60.0))"""
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(tmp_path)})
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("rlkit-sandbox-*/started")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 3
    while marked_processes(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not marked_processes(str(tmp_path))


def test_limits_are_checked_at_the_door():
    with pytest.raises(ConfigError, match="wall_s=0"):
        Limits(wall_s=0)
    with pytest.raises(ConfigError, match="memory_mb"):
        Limits(memory_mb=0)
