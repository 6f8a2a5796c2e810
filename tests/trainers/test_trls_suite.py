"""TRL's own tests of its GRPO trainer, run against ours: what passes there passes here, but for what is meant.

The tests are read from TRL's source at test time, none of their text is here. They are looked for beside the installed
package and in the folder that RLKIT_TRL_SOURCE names, a checkout of TRL. Models and data that they ask the hub for are
built in their place where we can; a test that fails under TRL's own trainer too says nothing of ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import trl

from tests.trainers.stand_ins import build_stand_ins

ROOT = Path(__file__).parents[2]
SUITE = Path("tests") / "test_grpo_trainer.py"
MEANT: dict[str, str] = {}
"""Tests that ours does not pass, and the heading of docs/differences_from_trl.md that says why."""


def find_source() -> Path | None:
    """Return the folder of TRL's source whose `tests/` holds the suite; None where there is none."""
    places = [os.environ.get("RLKIT_TRL_SOURCE"), Path(trl.__file__).parents[1]]
    return next((Path(place) for place in places if place and (Path(place) / SUITE).is_file()), None)


def run_suite(folder: Path, name: str, *options: str) -> dict[str, str]:
    """Return what became of each test: `passed`, `failed` or `skipped`."""
    environment = os.environ | {
        "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{ROOT}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    report = folder / f"{name}.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
    ]
    chosen = os.environ.get("RLKIT_TRL_TESTS", "")
    command += [
        "-p",
        "trls_names",
        *options,
        *(["-k", chosen] if chosen else []),
        f"--junitxml={report}",
        str(folder / SUITE),
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=7000)
    assert report.is_file(), done.stdout[-3000:] + done.stderr[-3000:]
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        outcomes[f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"] = state
    return outcomes


@pytest.mark.slow
@pytest.mark.timeout(14400)
def test_what_passes_under_trls_trainer_passes_under_ours(tmp_path):
    source = find_source()
    if source is None:
        pytest.skip("TRL's tests are not installed with it; name a checkout of TRL in RLKIT_TRL_SOURCE")
    shutil.copytree(source / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("data", "__pycache__"))
    build_stand_ins((tmp_path / SUITE).read_text(), tmp_path / "trl-internal-testing")
    theirs = run_suite(tmp_path, "theirs")
    passed = {name for name, state in theirs.items() if state == "passed"}
    if not passed:
        pytest.skip("none of TRL's tests passes here under TRL's own trainer")
    ours = run_suite(tmp_path, "ours", "-p", "as_trl")
    held = [name for name in passed if ours.get(name) == "passed"]
    print(f"{len(passed)} of {len(theirs)} pass under TRL's trainer, {len(held)} of these under ours")
    assert {name for name in passed if ours.get(name) != "passed"} <= {*MEANT}


def test_every_meant_difference_is_written_down():
    page = (ROOT / "docs" / "differences_from_trl.md").read_text()
    headings = {line.lstrip("# ") for line in page.splitlines() if line.startswith("#")}
    assert {*MEANT.values()} <= headings
