"""Who speaks, and where."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = "from rlkit.terminal import note; note('[bold]done[/bold]' + ' long' * 40)"


@pytest.mark.parametrize(("rank", "spoken"), [("0", 1), ("1", 0)])
def test_only_the_first_process_speaks_and_only_on_standard_error(monkeypatch, rank, spoken):
    monkeypatch.setenv("RANK", rank)
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    # One line however long, brackets as they are: paths and lists are no markup.
    assert done.stderr.splitlines() == ["[bold]done[/bold]" + " long" * 40] * spoken
