"""The sandbox against programs that behave as badly as they can."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rlkit.errors import ConfigError, RewardError
from rlkit.verifiers import private_directory, sandbox
from rlkit.verifiers.code_checking import check_functions
from rlkit.verifiers.private_directory import remove_tree
from rlkit.verifiers.sandbox import Limits, SandboxResult, run_python, run_sandboxed
from tests.rewards.processes import wait_until

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


BOMB = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
HOARD = """if True:
    import os, time
    for _ in range(6):
        if os.fork() == 0:
            kept = bytearray(100 << 20)
            time.sleep(60)
    time.sleep(60)"""


@pytest.mark.parametrize("sandbox", ["strong", "weak"])
def test_a_fork_bomb_ends_in_time_and_leaves_nothing(sandbox):
    result = run(BOMB, limits=replace(FAST, sandbox=sandbox))
    # Where no user can be had whose processes the kernel counts, the keeper does.
    assert result.status == "timeout" or "more than 8 processes" in result.stderr
    assert result.seconds < FAST.wall_s + 2
    assert not marked_processes("rlkit-sandbox")


def test_memory_is_bounded_for_all_processes_together():
    result = run(HOARD, limits=replace(FAST, wall_s=20.0))
    assert result.status == "crashed"
    assert "its processes together took more than 256 MiB" in result.stderr
    assert result.seconds < 10
    shared = "kept = bytearray(150 << 20)\nimport os, time\nfor _ in range(5):\n    if os.fork() == 0:\n"
    assert run(shared + "        time.sleep(0.5)\n        os._exit(0)\ntime.sleep(1)").status == "finished"


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
    remove_tree(str(tmp_path / "top"))
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
        assert result.stdout == "still here\n" or "PermissionError" in result.stderr


def test_nothing_survives_a_kill_of_the_process_that_started_it(tmp_path):
    program = """if True:
        from rlkit.verifiers.sandbox import Limits, run_python
        run_python("import os, time; open('started', 'w'); time.sleep(86417)", limits=Limits(wall_s=60.0))"""
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(tmp_path)})
    deadline = time.monotonic() + 20
    while not any("main.py" in line for line in marked_processes("main.py")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 3
    while marked_processes(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not marked_processes(str(tmp_path))


def test_a_child_whose_starter_is_gone_already_starts_nothing():
    read, write = os.pipe()
    spec = {"starter": 1, "status_fd": write}
    words = [private_directory.interpreter(), "-I", "-S", str(sandbox._CHILD), json.dumps(spec)]
    process = subprocess.Popen(words, pass_fds=[write], stderr=subprocess.PIPE)
    os.close(write)
    assert process.communicate(timeout=10) == (None, b"")
    assert process.returncode == 1
    assert os.read(read, 100) == b""
    os.close(read)


def test_without_a_process_namespace_nothing_survives_either(tmp_path):
    # What the program starts ends neither with the process that started it nor with its keeper by itself.
    _without_walls(tmp_path, new_pid="0x00000001")
    forks = "import subprocess, time\nfor _ in range(2): subprocess.Popen(['sleep', '86418'], start_new_session=True)"
    program = f"""if True:
        from pathlib import Path
        from rlkit.verifiers import sandbox
        sandbox._CHILD = Path({str(tmp_path)!r}, "sandbox_child.py")
        program = {forks + chr(10) + "time.sleep(60)"!r}
        sandbox.run_python(program, limits=sandbox.Limits(wall_s=60.0, sandbox="weak"))"""
    process = subprocess.Popen([sys.executable, "-c", program])
    assert wait_until(lambda: len(marked_processes("sleep\0" + "86418")) == 2, 20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_until(lambda: not marked_processes("sleep\0" + "86418"), 3)


def test_root_that_may_not_administer_the_system_can_run_programs_too():
    # Such is root in a container, also where the calls that make namespaces are allowed.
    if os.geteuid() != 0 or not isolates("pid", "mount"):
        pytest.skip("this needs the superuser, and namespaces")
    drop, administer = 24, 21
    program = (
        f"import ctypes, os, sys; ctypes.CDLL(None).prctl({drop}, {administer}, 0, 0, 0); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    inner = "from rlkit.verifiers.sandbox import run_python; print(run_python('print(1)'))"
    ran = subprocess.run([sys.executable, "-c", program, sys.executable, "-c", inner], capture_output=True, text=True)
    assert "status='finished', exit_code=0, stdout='1" in ran.stdout, ran.stderr


def test_limits_are_checked_at_the_door():
    with pytest.raises(ConfigError, match="wall_s=0"):
        Limits(wall_s=0)
    with pytest.raises(ConfigError, match="memory_mb"):
        Limits(memory_mb=0)


def shuts_off() -> bool:
    return isolates("mount", "pid", "net")


REACHES = {
    "truncate": "import os; os.truncate({file!r}, 0)",
    "truncate by opening": "import os; os.open({file!r}, os.O_RDONLY | os.O_TRUNC)",
    "change rights": "import os; os.chmod({file!r}, 0o777)",
    "touch": "import os; os.utime({file!r}, (0, 0))",
    "read": "print(open({file!r}).read())",
    "write": "open({file!r}, 'a').write('x')",
    "delete": "import os; os.unlink({file!r})",
    "look": "import os; print(os.stat({file!r}))",
    "shared memory": "open('/dev/shm/' + {shared!r}, 'r+').write('x')",
    "socket": "import socket; socket.socket(socket.AF_UNIX).connect({socket!r})",
    "abstract socket": "import socket; socket.socket(socket.AF_UNIX).connect('\\0' + {shared!r})",
    "accounts": "print(open('/etc/passwd').read())",
    "processes": "import os; print(os.listdir('/proc'))",
}


@pytest.mark.parametrize("reach", REACHES.values(), ids=REACHES)
def test_nothing_of_the_user_is_within_reach(reach, tmp_path):
    if not shuts_off():
        pytest.skip("this kernel gives no root of its own")
    file, name = tmp_path / "checkpoint", f"rlkit-test-{os.getpid()}"
    file.write_text("precious")
    file.chmod(0o644)
    tmp_path.chmod(0o777)
    before, shared = file.stat(), Path("/dev/shm", name)
    shared.write_text("shared")
    place = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as agent, socket.socket(socket.AF_UNIX) as hidden:
        agent.bind(place)
        agent.listen()
        hidden.bind(f"\0{name}")
        hidden.listen()
        try:
            result = run(reach.format(file=str(file), shared=name, socket=place))
            assert result.status == "crashed", result
            assert re.search("No such file|not permitted|denied|refused", result.stderr)
            assert shared.read_text() == "shared"
        finally:
            shared.unlink()
    assert file.read_text() == "precious"
    assert (file.stat().st_mode, file.stat().st_mtime) == (before.st_mode, before.st_mtime)


def test_calls_that_no_program_needs_are_refused():
    if not isolates("seccomp"):
        pytest.skip("this kernel takes no filter")
    call = "import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.{}, ctypes.get_errno())"
    for words in ("unshare(0x10020000)", "ptrace(16, 1, 0, 0)", "mount(b'none', b'/tmp', b'tmpfs', 0, None)"):
        assert run(call.format(words)).stdout == "-1 1\n"
    assert "PermissionError" in run("import os; os.memfd_create('x')").stderr


def test_all_files_together_are_bounded():
    program = "import time\nwhile True:\n    open(str(time.time()), 'wb').write(b'x' * (1 << 20))"
    result = run(program, limits=Limits(wall_s=20.0, disk_mb=8))
    assert result.seconds < 15
    if shuts_off():
        assert "No space left" in result.stderr
        assert "No space left" in run("for n in range(100_000): open(str(n), 'w')").stderr


def test_a_weak_sandbox_ends_a_program_that_floods_the_disk(monkeypatch, tmp_path):
    # A folder that is no directory cannot be mounted over: what a kernel without mount namespaces is like.
    monkeypatch.setattr("rlkit.verifiers.sandbox._CHILD", _without_walls(tmp_path))
    with pytest.raises(RewardError, match=r"cannot shut programs off.*write sandbox: weak"):
        run("print(1)")
    weak = Limits(wall_s=20.0, disk_mb=8, sandbox="weak")
    assert run("print(1)", limits=weak).stdout == "1\n"
    program = "import time\nwhile True:\n    open(str(time.time()), 'wb').write(b'x' * (1 << 20))"
    result = run(program, limits=weak)
    assert result.status == "output"
    assert result.seconds < 15
    assert "mount" not in result.isolation
    assert "PermissionError" in run("import socket; socket.socket()", limits=weak).stderr


def _without_walls(folder: Path, new_pid: str = "0x20000000") -> Path:
    """Return a copy of the child whose root cannot be built."""
    source = Path(private_directory.__file__).parent
    for name in ("sandbox_child.py", "sandbox_walls.py", "sandbox_census.py"):
        text = (source / name).read_text().replace("NEW_MOUNTS = 0x00020000", "NEW_MOUNTS = 0x00000001")
        text = text.replace("_NEW_IPC = 0x10000000, 0x20000000", f"_NEW_IPC = 0x10000000, {new_pid}")
        (folder / name).write_text(text)
    return folder / "sandbox_child.py"


def test_a_temporary_folder_that_cannot_be_written_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(RewardError, match="cannot make a directory"):
        run("print(1)")
    started = time.monotonic()
    with pytest.raises(RewardError, match="cannot make a directory"):
        check_functions("def f(x): return x", "assert f(1) == 1")
    assert time.monotonic() - started < 10


def test_no_user_is_taken_that_is_not_mapped(monkeypatch, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only the superuser may change users")
    monkeypatch.setattr(private_directory, "_may_change_users", lambda: True)
    lines = {"0 0 4294967295": True, "0 1000 1": False, "0 1000 1\n1 100000 65536": True}
    for text, has_spare in lines.items():
        monkeypatch.setattr(Path, "read_text", lambda self, text=text: text)
        uid = private_directory._spare_uid("/tmp", False)
        assert (uid is not None) == has_spare
        if text.startswith("0 1000 1\n") and uid is not None:
            assert 1 < uid <= 65536
