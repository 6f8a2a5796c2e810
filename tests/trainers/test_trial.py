"""What would stop a run before its first step is told by `rlkit recipes validate`, without the model's weights."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from rlkit.assets import model_path
from rlkit.cli import main

REWARD = """
from rating import rate          # a module beside this file

def short(completions, gold, **columns):
    return [rate(completion) for completion in completions]

def needs_more(completions, colour, **columns):
    return [0.0] * len(completions)

def broken(completions, **columns):
    raise ZeroDivisionError("mine")
"""

RECIPE = """
model: countdown-tiny
task: {{name: jsonl, path: data, prompt: question, gold: answer, verifier: exact, format: plain}}
rewards: [{rewards}]
output: {output}
train: {{num_generations: 4, per_device_train_batch_size: 8, max_steps: 1, max_completion_length: 8{train}}}
{more}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Own data, an own reward and the module that it imports, in a folder that is not the working directory."""
    own = tmp_path / "own things"
    (own / "data").mkdir(parents=True)
    rows = [{"question": f"{n} + {n} =", "answer": str(2 * n)} for n in range(8)]
    (own / "data" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (own / "reward.py").write_text(REWARD)
    (own / "rating.py").write_text("def rate(completion):\n    return float(len(completion) < 5)\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return own


def write(folder: Path, rewards: str = "exact_match", train: str = "", more: str = "") -> str:
    """Write the recipe and return its name."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(rewards=rewards, output=folder / "run", train=train, more=more))
    return str(recipe)


def said_of(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one sentence with which a recipe is refused."""
    assert main(["recipes", "validate", recipe, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.side_by_side
def test_what_is_valid_trains_from_any_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write(folder, "reward.py:short")
    assert main(["recipes", "validate", recipe]) == 0
    assert capsys.readouterr().out.endswith(": valid\n")
    assert not (folder / "run").exists()
    assert main(["train", recipe]) == 0
    assert (folder / "run" / "model").is_dir()


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize(
    ("rewards", "train", "more", "said"),
    [
        ("reward.py:needs_more", "", "", "needs 'colour'"),
        ("reward.py:broken", "", "", "On a trial batch of gold and empty answers: "),
        ("reward.py:short", ", report_to: wndb", "", "Did you mean 'wandb'"),
        ("reward.py:short", ", report_to: [neptune]", "", "neptune, which is not installed"),
        ("reward.py:short", ", model_init_kwargs: {dtype: bflot16}", "", "Did you mean 'bfloat16'"),
        ("reward.py:short", "", "peft: {target_modules: [q_prj]}", "The peft settings do not fit"),
        ("reward.py:short", "", "partition: {name: final_answr}", "Did you mean 'final_answer'"),
    ],
)
def test_what_would_not_start_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], rewards: str, train: str, more: str, said: str
) -> None:
    assert said in said_of(write(folder, rewards, train, more), capsys)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_data_and_servers_that_are_not_there_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = (
            f", use_vllm: true, vllm_mode: server, vllm_server_base_url: 'http://127.0.0.1:{taken.getsockname()[1]}'"
        )
        assert "No vLLM server answers" in said_of(write(folder, "reward.py:short", server), capsys)
    assert "has no column 'problem'" in said_of(write(folder), capsys, "--set", "task.prompt=problem")
    (folder / "data" / "train.jsonl").rename(folder / "data" / "test.jsonl")
    assert "train" in said_of(write(folder, "reward.py:short"), capsys)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_chat_needs_a_template(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "model"
    shutil.copytree(model_path("countdown-tiny"), model)
    (model / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    words = ("--set", "task.format=chat", "--set", f"model={model}")
    assert "has no chat template" in said_of(write(folder, "reward.py:short"), capsys, *words)
