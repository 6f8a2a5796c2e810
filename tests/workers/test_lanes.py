"""Commands side by side: order inside a lane, failure, and interruption, with real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlkit.workers.lanes import LaneError, Stage, count_lines, run_lanes


def stage(tmp_path: Path, name: str, code: str) -> Stage:
    output = tmp_path / f"{name}.out"
    command = [sys.executable, "-c", code, str(output)]
    return Stage(name, command, tmp_path / f"{name}.txt", 3, lambda: count_lines(output), "lines")


APPEND = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('1\\n2\\n3\\n')"


def test_stages_of_a_lane_run_in_order(tmp_path):
    read = f"assert open({str(tmp_path / 'first.out')!r}).read() == '1\\n2\\n3\\n'"
    run_lanes([[stage(tmp_path, "first", APPEND), stage(tmp_path, "second", read)]], num_workers=2, num_threads=1)


def test_a_failure_names_the_command_its_last_words_and_its_log(tmp_path):
    failing = stage(tmp_path, "broken", "raise SystemExit('no luck')")
    with pytest.raises(LaneError, match=r"broken failed with exit code 1: no luck \(.*broken\.txt\)"):
        run_lanes([[failing, stage(tmp_path, "after", APPEND)]], num_workers=1, num_threads=1)
    assert not (tmp_path / "after.out").exists()


def test_a_failure_interrupts_the_other_lanes(tmp_path):
    waiting = stage(tmp_path, "waiting", "import time; time.sleep(60)")
    failing = stage(tmp_path, "broken", "raise SystemExit(3)")
    with pytest.raises(LaneError, match="broken failed with exit code 3"):
        run_lanes([[waiting], [failing]], num_workers=2, num_threads=1)


def test_commands_get_their_share_of_threads(tmp_path):
    check = "import os; assert os.environ['OMP_NUM_THREADS'] == '3' and os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'"
    run_lanes([[stage(tmp_path, "threads", check)]], num_workers=1, num_threads=3)


def test_lines_are_counted_when_complete(tmp_path):
    file = tmp_path / "log"
    assert count_lines(file) == 0
    file.write_text("a\nb\ntorn")
    assert count_lines(file) == 2


STARTER = """
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from rlkit.workers.lanes import Stage, run_lanes
code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(f'{os.getpid()}\\\\n'); time.sleep(60)"
command = [sys.executable, "-c", code, sys.argv[1]]
run_lanes([[Stage("waiting", command, Path(sys.argv[1] + ".txt"), 1, lambda: 0, "lines")]], 1, 1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of the end of its parent")
def test_a_command_ends_with_the_program_that_was_killed(tmp_path):
    told = tmp_path / "pid"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(told)])
    wait_until(lambda: count_lines(told) == 1)
    command = os.pidfd_open(int(told.read_text()))
    starter.kill()
    starter.wait()
    # A pidfd is readable once its process has ended.
    assert select.select([command], [], [], 20)[0]
    os.close(command)


def wait_until(is_so, seconds=30.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)
