"""`rlkit probe` as a user meets it: numbers, notes, one sentence with exit code 2 for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.evaluation import evaluate
from tests.evaluation.conftest import FirstLetter, build_tiny_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("probe")
    model = build_tiny_model(root / "model")
    evaluate(str(model), FirstLetter(3), 4, root / "trained" / "eval", sampling={"max_tokens": 10})
    return root / "trained"


def test_it_prints_what_it_writes_and_takes_a_run_directory(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(run), "--base", str(run.parent / "model"), "--device", "cpu"]) == 0
    found = json.loads((run / "eval" / "probe.json").read_text())
    printed = capsys.readouterr()
    assert f"branching factor                      {found['branching_factor']['value']:.3f} [" in printed.out
    assert "KL(model || base), nats a token       0 [0, 0]" in printed.out
    assert "weights bit-identical                 100.00%" in printed.out
    assert "kl_to_base is left out: The base was given as a model" in printed.err
    assert "samples are left out: their text does not encode" in printed.err
    assert "3 prompts for states of width 64" in printed.err
    assert "probe.json" in printed.err


def test_undefined_numbers_are_said_as_such() -> None:
    from rlkit.cli.probe import _cell, _number

    assert _cell({"value": None, "low": None, "high": None, "num_defined": 0, "num_total": 3}).startswith(
        "undefined (0 of"
    )
    assert _cell({"value": 1.0, "low": None, "high": None, "num_defined": 1, "num_total": 3}) == (
        "1.000 [no interval]  (1 of 3 prompts)"
    )
    assert _number(None) == "undefined"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--limit", "0"], "limit was given as 0"),
        (["--samples-per-prompt", "0"], "samples per prompt was given as 0"),
        (["--batch-tokens", "-1"], "batch_tokens=-1"),
        (["--base", "./gone"], "no model directory './gone'"),
        (["--dtype", "half"], "invalid choice: 'half'"),
        (["--device", "gpu"], "device='gpu'"),
    ],
)
def test_each_mistake_is_one_sentence(
    run: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["probe", str(run), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("rlkit: ")
    assert error.count("\n") == 1


def test_a_directory_without_an_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(tmp_path)]) == 2
    assert "holds no evaluation, nor does its" in capsys.readouterr().err
