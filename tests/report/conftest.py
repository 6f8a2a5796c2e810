"""A small comparison, written once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkit.report import Report, build_report
from tests.report.evaluations import BASE, DARLING, GRPO, write_evaluation, write_run


@pytest.fixture(scope="session")
def directories(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("runs")
    return [
        write_evaluation(root / "base" / "eval", BASE, num_problems=60),
        write_run(root / "grpo", GRPO, num_problems=60),
        write_run(root / "darling", DARLING, num_problems=60),
    ]


@pytest.fixture(scope="session")
def report(directories: list[Path]) -> Report:
    return build_report(directories)
