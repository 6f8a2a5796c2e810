"""`rlkit merge` as a user meets it: whole model directories, a sweep with its front, one sentence for each mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from rlkit.cli import main
from tests.evaluation.conftest import build_tiny_model
from tests.weights.conftest import build_adapter, perturb, tensors_of

TASK = "{name: tests/evaluation/conftest.py:FirstLetter, num_problems: 4}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a model and three checkpoints, and a fourth that a kill cut short."""
    root = tmp_path_factory.mktemp("run")
    perturb(base, root / "model", seed=9)
    for step in (2, 4, 10, 12):
        perturb(base, root / f"checkpoint-{step}", seed=step)
        if step < 12:
            (root / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    return root


def assert_same(one: Path, other: Path) -> None:
    found, wanted = tensors_of(one), tensors_of(other)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in found)


def test_average_takes_runs_models_and_weights(base: Path, run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["merge", "average", str(run), str(base), "--weights", "1,3", "--output", str(out)]) == 0
    found, (one, other) = tensors_of(out), (tensors_of(run / "model"), tensors_of(base))
    for name in found:
        torch.testing.assert_close(found[name], 0.25 * one[name] + 0.75 * other[name], rtol=0, atol=3e-7)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"Wrote {out}, model of" in printed.err
    assert main(["merge", "average", str(base), str(base), "--output", str(out)]) == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert main(["merge", "average", str(base), str(base), "--output", str(out), "--overwrite"]) == 0
    assert_same(out, base)


def test_the_last_checkpoints_are_the_last_whole_ones(run: Path, tmp_path: Path, capsys) -> None:
    words = ["merge", "average", "--last", "2", str(run), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    found = tensors_of(tmp_path / "out")
    four, ten = (tensors_of(run / f"checkpoint-{step}") for step in (4, 10))
    for name in found:
        torch.testing.assert_close(found[name], (four[name] + ten[name]) / 2, rtol=0, atol=3e-7)
    words[3], words[-1] = "4", str(tmp_path / "more")
    assert main(words) == 2
    assert "has 3 checkpoints and --last asks for 4" in capsys.readouterr().err


def test_a_bundled_model_has_a_name_and_layers_come_back(tmp_path: Path) -> None:
    from rlkit.assets import model_path

    tuned, out = tmp_path / "tuned", tmp_path / "out"
    perturb(model_path("countdown-tiny"), tuned / "model", seed=1)
    words = ["merge", "restore", "countdown-tiny", str(tuned), "--layers", "0:2,3", "--output", str(out)]
    assert main(words) == 0
    found, before = tensors_of(out), tensors_of(model_path("countdown-tiny"))
    layers = {name.split(".")[2] for name in found if torch.equal(found[name], before[name])}
    assert layers == {"0", "1", "3"}


def test_an_adapter_is_interpolated_as_an_adapter(base: Path, tmp_path: Path, capsys) -> None:
    adapter = build_adapter(base, tmp_path / "adapter")
    words = ["merge", "interpolate", str(base), str(adapter), "--weight", "0.5", "--output", str(tmp_path / "out")]
    assert main(words) == 0
    printed = capsys.readouterr().err
    assert "B was multiplied by its weight" in printed
    assert "adapter of" in printed
    before, after = tensors_of(adapter), tensors_of(tmp_path / "out")
    for name in before:
        torch.testing.assert_close(after[name], before[name] * (0.5 if "lora_B" in name else 1.0))


def test_a_sweep_without_a_task_writes_models_and_goes_on_where_it_stopped(
    base: Path, run: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "sweep"
    words = ["merge", "interpolate", str(base), str(run), "--sweep", "0:1:3", "--output", str(out)]
    assert main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["w0", "w0.5", "w1"]
    assert [path.name for path in (out / "w0.5").iterdir()] == ["model"]
    assert_same(out / "w0" / "model", base)
    assert_same(out / "w1" / "model", run / "model")
    shutil.rmtree(out / "w0.5")
    capsys.readouterr()
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "2 of 3 models are there already" in said
    assert said.count("Wrote") == 1
    words[3] = str(run / "checkpoint-4")
    assert main(words) == 2
    assert "give --overwrite" in capsys.readouterr().err


def test_a_sweep_with_a_task_draws_the_front(base: Path, run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "sweep"
    words = ["merge", "interpolate", str(base), str(run), "--sweep", "0:1:2", "--output", str(out)]
    words += ["--task", TASK, "--n", "4", "--max-tokens", "8", "--temperature", "0.5,1"]
    assert main(words) == 0
    report = json.loads((out / "report.json").read_text())
    assert "w0" in (out / "report.md").read_text()
    assert report
    assert (out / "report.html").stat().st_size > 10_000
    for weight in ("w0", "w1"):
        for temperature in ("t0.5", "t1"):
            config = json.loads((out / weight / "eval" / temperature / "config.json").read_text())["config"]
            assert config["model"] == str(out / weight / "model")
    printed = capsys.readouterr()
    assert "w1" in printed.out
    # Called again, nothing is merged or drawn.
    assert main(words) == 0
    assert "2 of 2 models are there already" in capsys.readouterr().err


MISTAKES = [
    ("average {base}", "of two models or more, and 1 was named"),
    ("average {base} nowhere/at/all", "no model directory 'nowhere/at/all'"),
    ("average {base} countdown-tinny", "Did you mean 'countdown-tiny'"),
    ("average {base} {run} --weights 1", "1 weights were given for 2 models"),
    ("average {base} {run} --weights 1,x", "--weights was given as '1,x'"),
    ("average {base} {run} --weights 1,-1", "at least 0"),
    ("average {base} {run} --weights 0,0", "one above it"),
    ("average {base} {run} --weights nan,1", "at least 0"),
    ("average {base} {run} --last 2", "--last takes checkpoints of one run, and 2 directories"),
    ("average {run} --last 0", "--last was given as 0"),
    ("average nowhere --last 2", "no run directory 'nowhere'"),
    ("interpolate {base} {run}", "one of the arguments --weight --sweep is required"),
    ("interpolate {base} {run} --weight 0.5 --sweep 0:1:3", "not allowed with"),
    ("interpolate {base} {run} --weight nan", "The weight was given as nan"),
    ("interpolate {base} {run} --weight half", "invalid float value: 'half'"),
    ("interpolate {base} {run} --weight 0.5 --task countdown", "--task evaluates a sweep"),
    ("interpolate {base} {run} --sweep 0:1", "--sweep was given as '0:1'"),
    ("interpolate {base} {run} --sweep 0:1:1", "a count of 2 to 101"),
    ("interpolate {base} {run} --sweep 0:inf:3", "START:STOP:COUNT"),
    ("interpolate {base} {run} --sweep 1:1:3", "weights repeat"),
    ("interpolate {base} {run} --sweep 0:1:3 --n 4", "--n was given as 4 without a --task"),
    ("interpolate {base} {run} --sweep 0:1:3 --task countdown", "without --n"),
    ("interpolate {base} {run} --sweep 0:1:3 --task cuntdown --n 4", "cuntdown"),
    ("interpolate {base} {run} --sweep 0:1:3 --task countdown --n 4 --gate bad", "--gate was given as 'bad'"),
    ("interpolate {base} countdown-tiny --weight 0.5", "does not fit"),
    ("restore {base} {run} --layers 2:1", "--layers was given as '2:1'"),
    ("restore {base} {run} --layers :2", "--layers was given as ':2'"),
    ("restore {base} {run} --layers -1", "--layers was given as '-1'"),
    ("restore {base} {run} --layers 0:999999999999", "no model has so many layers"),
    ("restore {base} {run} --layers 0:3", "layers 0 to 1, and layer 2"),
    ("restore {base} {run}", "required: --layers"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES, ids=[words for words, _ in MISTAKES])
def test_each_mistake_is_one_sentence_and_writes_nothing(
    base: Path, run: Path, tmp_path: Path, capsys, words: str, said: str
) -> None:
    out = tmp_path / "out"
    given = [word.format(base=base, run=run) for word in words.split()]
    assert main(["merge", *given, "--output", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("rlkit: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("action", ["average", "interpolate", "restore"])
def test_help_shows_an_example_that_is_understood(action: str, capsys) -> None:
    from rlkit.cli import build_parser

    with pytest.raises(SystemExit, match="0"):
        main(["merge", action, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    example = text.rpartition("example: rlkit ")[2]
    assert build_parser().parse_args(example.split()).action == action
