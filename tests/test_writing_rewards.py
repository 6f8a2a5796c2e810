"""docs/writing_rewards.md, followed to the letter in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "writing_rewards.md").read_text()
STEPS = re.findall(
    r"```(python|yaml)\n(.*?)```|^    (rlkit [^\n]+)$", PAGE.partition("## The forms")[0], re.DOTALL | re.MULTILINE
)


def run(folder: Path, command: list[str]) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, f"{command}: {ran.stdout[-2000:]}{ran.stderr[-3000:]}"
    return ran.stdout


@pytest.mark.slow
@pytest.mark.side_by_side
def test_the_page_works_as_it_is_written(tmp_path):
    said = {}
    for language, code, command in STEPS:
        if command:
            said[command] = run(tmp_path, [sys.executable, "-m", *shlex.split(command)])
        else:
            (tmp_path / ("short_answers.py" if language == "python" else "my.yaml")).write_text(code)
    assert len(said) == 6, [*said]
    assert "overlong" in said["rlkit rewards list"]
    assert said["rlkit rewards check short_answers.py"].endswith("Every check passed.\n")
    assert said["rlkit recipes validate my.yaml"] == "my.yaml: valid\n"
    logged = "".join(file.read_text() for file in (tmp_path / "runs" / "my").rglob("*.json*"))
    means = [float(mean) for mean in re.findall(r'"rewards/short_answers/mean": ([^,}]+)', logged)]
    assert means
    assert all(0 < mean < 1 for mean in means)
    (test,) = re.findall(r"```python\n(from rlkit\.testing.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "test_page.py").write_text(test)
    run(
        tmp_path,
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py", "test_short_answers.py"],
    )


def test_every_check_is_on_the_page():
    from rlkit.testing.examination import CHECKS

    table = PAGE.partition("| check | asks for |")[2]
    assert [
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ] == [*CHECKS]
