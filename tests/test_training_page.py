"""docs/training.md, followed to the letter in an empty folder with a space in its name."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "training.md").read_text()
NAMES = ("data/train.jsonl", "reward.py", "mine.yaml", "train.py")
FILES = dict(zip(NAMES, re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL), strict=True))
COMMANDS = re.findall(r"^    (rlkit .*|python .*)$", PAGE, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_the_page_works_as_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "my own"
    (folder / "data").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    said = {command: run(folder, command) for command in COMMANDS}
    assert [*said] == ["rlkit recipes validate mine.yaml", "rlkit train mine.yaml", "python train.py"]
    assert said["rlkit recipes validate mine.yaml"] == "mine.yaml: valid\n"
    for run_directory in ("mine", "python"):
        assert (folder / "runs" / run_directory / "adapter" / "adapter_config.json").is_file()
    assert (folder / "runs" / "mine" / "model").is_dir()


def run(folder: Path, command: str) -> str:
    """Run a command of the page; `rlkit` without the working directory on the path, as the console script has it."""
    program, *words = shlex.split(command)
    console = [sys.executable, "-P", "-m", "rlkit"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*(console if program == "rlkit" else [sys.executable]), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=500,
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout[-2000:]}{ran.stderr[-3000:]}"
    return ran.stdout
