"""An evaluation directory that was edited by hand: every use of it ends in a sentence or in numbers."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rlkit.errors import RlkitError
from rlkit.evaluation import compare_runs, evaluate, read_report
from rlkit.evaluation.probing.selection import select_samples
from rlkit.evaluation.samples.regrade import regrade
from rlkit.report import build_report
from rlkit.report.markdown import to_markdown
from rlkit.report.page import to_html
from tests.evaluation.damage import damage
from tests.evaluation.samples.test_regrade import TASK, Scripted

FILES = ("config.json", "samples.jsonl", "report.json")


@pytest.fixture
def whole(tiny_model: Path, tmp_path: Path) -> Path:
    evaluate(str(tiny_model), TASK, 6, tmp_path / "whole", engine=Scripted())
    return tmp_path / "whole"


def uses(model: Path, base: Path, damaged: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Return what is done with a directory, by name."""

    def show() -> None:
        report = build_report([base, damaged])
        to_html(report)
        to_markdown(report)

    return {
        "compare": lambda: compare_runs(read_report(base), read_report(damaged)),
        "report": show,
        "probe": lambda: select_samples(damaged, 3, 2),
        "grade": lambda: regrade(damaged, task=TASK, output=out),
        "grade as before": lambda: regrade(damaged, partition="normalised_text"),
        "go on": lambda: evaluate(str(model), TASK, 6, damaged, engine=Scripted()),
    }


def check(model: Path, whole: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    damaged = tmp_path / f"damaged-{seed}"
    shutil.copytree(whole, damaged)
    done = [damage(damaged / rng.choice(FILES), rng) for _ in range(rng.choice([1, 1, 1, 2]))]
    for name, use in uses(model, whole, damaged, tmp_path / f"out-{seed}").items():
        try:
            use()
        except RlkitError:
            pass
        except Exception as error:
            raise AssertionError(f"seed {seed}: {name} after {done}: {error!r}") from error
    shutil.rmtree(damaged)


@pytest.mark.parametrize("seed", range(12))
def test_a_few_random_edits(tiny_model: Path, whole: Path, tmp_path: Path, seed: int) -> None:
    check(tiny_model, whole, tmp_path, seed)


@pytest.mark.slow
def test_many_random_edits(tiny_model: Path, whole: Path, tmp_path: Path) -> None:
    for seed in range(1000, 1300):
        check(tiny_model, whole, tmp_path, seed)
