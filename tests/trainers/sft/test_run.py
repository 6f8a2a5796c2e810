"""`rlkit sft` from recipe to model: what is refused, what is logged, and that a stopped run ends as a whole one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlkit.cli import main
from rlkit.errors import ConfigError, StoreError
from rlkit.recipe import build_recipe
from rlkit.trainers.sft.run import train_sft, try_sft
from tests.trainers.tiny import build_model, build_tokenizer

ROWS = [{"prompt": f"{at % 8} + {at % 3}", "completion": f"{at % 20} * 2", "weight": 1 + at % 3} for at in range(48)]
TRAIN = {
    "per_device_train_batch_size": 8,
    "max_steps": 6,
    "learning_rate": 1e-3,
    "gradient_checkpointing": False,
    "save_strategy": "steps",
    "save_steps": 3,
    "seed": 1,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny"
    build_model().save_pretrained(path)
    build_tokenizer().save_pretrained(path)
    return path


@pytest.fixture
def recipe(model, tmp_path):
    def build(**changes):
        rows = changes.pop("rows", ROWS)
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        train = TRAIN | changes.pop("train", {})
        output = tmp_path / changes.pop("output", "out")
        values = {"kind": "sft", "model": str(model), "data": str(tmp_path / "rows.jsonl"), "output": str(output)}
        return build_recipe({**values, "train": train, **changes})

    return build


def read_log(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "train_log.jsonl").read_text().splitlines()]


WRONG = {"rows": [*ROWS, *({**row, "weight": -1.0, "completion": "19 19"} for row in ROWS[:10])]}
WRONG |= {"negatives": {"rows_per_step": 4}, "hold_out": 0.25}


@pytest.mark.parametrize("changes", [{}, WRONG], ids=["plain", "negatives, held out"])
def test_a_run_that_was_killed_goes_on_to_the_same_weights_and_log(recipe, tmp_path, changes):
    whole = recipe(**changes)
    assert train_sft(whole).status == "finished"
    output, stopped = tmp_path / "out", tmp_path / "stopped"
    shutil.copytree(output, stopped)
    for later in ("checkpoint-6", "model"):
        shutil.rmtree(stopped / later)
    state = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps(state | {"status": "running", "step": 3}))
    (stopped / "recipe.yaml").write_text((stopped / "recipe.yaml").read_text().replace(str(output), str(stopped)))
    assert train_sft(recipe(**changes, output="stopped")).status == "finished"
    one, two = (load_file(path / "model" / "model.safetensors") for path in (output, stopped))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=1e-7, rtol=0)
    first, second = read_log(output), read_log(stopped)
    assert [entry["step"] for entry in first] == [entry["step"] for entry in second]
    for one, two in zip(first, second, strict=True):
        assert one.get("loss") == pytest.approx(two.get("loss"), abs=1e-6)
        assert one.get("held_out/nll") == pytest.approx(two.get("held_out/nll"), abs=1e-6)
    assert train_sft(whole).status == "already finished"


def test_the_log_has_what_was_pushed_down_and_what_is_watched(recipe, tmp_path):
    train_sft(recipe(**WRONG, train={"learning_rate": 1e-2, "max_steps": 12, "save_strategy": "no"}))
    log = read_log(tmp_path / "out")
    assert log[0]["step"] == 0
    assert all("held_out/nll" in entry and "learnt/nll" in entry for entry in log)
    assert log[-1]["nll"] < log[1]["nll"] - 0.1
    pushed = [entry["negatives/probability"] for entry in log[1:]]
    assert pushed[-1] < pushed[0]


def test_overfitting_is_said_once_when_it_has_begun(recipe, capsys):
    # Every problem has an answer of its own, so that nothing learnt helps with the problems held back.
    rows = [{"prompt": f"{at} {(7 * at) % 20}", "completion": f"{(at * 13) % 17} {(at * 11) % 19}"} for at in range(20)]
    train_sft(recipe(rows=rows, hold_out=0.5, train={"max_steps": 60, "learning_rate": 1e-2, "save_strategy": "no"}))
    said = capsys.readouterr().err
    assert said.count("Overfitting has begun by step") == 1


def test_lora_saves_the_adapter_and_a_whole_model(recipe, tmp_path):
    train_sft(recipe(peft={"r": 2, "target_modules": "all-linear"}, train={"save_strategy": "no"}))
    assert (tmp_path / "out" / "adapter" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "none.jsonl"}, "none.jsonl does not exist"),
        ({"data": {"name": "jsonl"}}, "data was given path=''"),
        ({"data": {"name": "jsnl", "path": "x"}}, "Did you mean 'jsonl'"),
        ({"data": {"name": "jsonl", "pth": "x"}}, "data has no setting 'pth'"),
        ({"data": {"path": "x"}}, "write a file, or {name"),
        ({"train": {"row_weighting": "mean"}}, "sequence_mean"),
        ({"train": {"assistant_only_loss": True}}, "give each answer a row of its own"),
        ({"train": {"truncation_mode": "keep_end"}}, "no row is ever cut"),
        ({"train": {"completion_only_loss": False}}, "completion_only_loss"),
        ({"train": {"packing": True, "packing_strategy": "wrapped"}}, "takes 'bfd'"),
        ({"train": {"packing": True}, "negatives": {}}, "do not go together"),
        ({"train": {"eval_strategy": "steps"}}, "nothing to evaluate on"),
        ({"negatives": {}}, "negatives has no rows"),
        ({"train": {"max_length": 4}}, "are longer than 4 tokens"),
        ({"rows": ROWS[:1], "hold_out": 0.5}, "one only"),
        ({"rows": [{**ROWS[0], "weight": -1}, ROWS[1]], "negatives": {"push": "ratio"}}, "column 'logp'"),
        ({"evaluate": {"task": "countdown"}}, "evaluate names no n"),
        ({"evaluate": {"task": "countdown", "n": 4, "temprature": 1}}, "Did you mean 'temperature'"),
        ({"evaluate": {"task": "countdown", "n": 0}}, "n=0"),
        ({"peft": {"r": 2, "target_modules": ["nothing"]}}, "do not fit"),
    ],
)
def test_a_dry_run_refuses_what_would_stop_the_run(recipe, changes, said):
    with pytest.raises(ConfigError, match=said):
        try_sft(recipe(**changes))


def test_a_dry_run_of_what_is_right_says_nothing_and_writes_nothing(recipe, tmp_path):
    assert try_sft(recipe(evaluate={"task": "countdown", "n": 4, "temperature": [0.6, 1.0]})) is None
    assert not (tmp_path / "out").exists()


def test_samples_of_an_evaluation_are_rows_with_their_log_probs(tmp_path):
    from rlkit.evaluation import evaluate
    from rlkit.trainers.sft.sources import load_data

    evaluate("countdown-tiny", "countdown", 8, tmp_path / "eval", limit=3, sampling={"max_tokens": 20})
    correct, wrong = (
        load_data({"name": "evaluation", "path": str(tmp_path / "eval"), "take": take}) for take in ("correct", "wrong")
    )
    assert 0 < len(correct) + len(wrong) <= 24
    assert all(row.logp < 0 and "->" in row.prompt for row in [*correct, *wrong])


def test_distinct_solutions_of_an_archive_are_rows_with_its_weights(recipe, tmp_path):
    from rlkit.archive import Archive, Finding, Solution, Source

    path = tmp_path / "archive.jsonl"
    unfilled = recipe(data={"name": "archive", "path": str(path)})
    assert "rlkit archive collect" in try_sft(unfilled)
    with pytest.raises(StoreError):
        train_sft(unfilled)
    archive = Archive.create(path, task="countdown", partition="canonical_expression")
    findings = [
        Finding(f"problem {at}", f"{at} + 3", 8, 2, tuple(Solution(str(key), f"{key} * {at}", 1) for key in range(2)))
        for at in range(8)
    ]
    archive.add(Source("drawn", model="tiny"), findings)
    data = {"name": "archive", "path": str(path), "per_problem": 1, "weights": "per_problem"}
    assert try_sft(recipe(data=data)) is None
    assert train_sft(recipe(data=data, train={"max_steps": 1})).status == "finished"
    with pytest.raises(ConfigError, match="no weights 'even'"):
        try_sft(recipe(data={**data, "weights": "even"}))


def test_the_command_needs_no_recipe_and_refuses_another_kind(model, tmp_path, capsys):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    words = ["sft", "--model", str(model), "--data", str(tmp_path / "rows.jsonl"), "--output", str(tmp_path / "out")]
    settings = [f"train.{key}={json.dumps(value)}" for key, value in (TRAIN | {"max_steps": 1}).items()]
    assert main([*words, *(word for setting in settings for word in ("--set", setting))]) == 0
    assert "Finished" in capsys.readouterr().err
    assert main(["sft", "countdown/grpo"]) == 2
    assert "kind rl; run it by rlkit train" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "out" / "recipe.yaml")]) == 0
    assert "finished after 1 steps" in capsys.readouterr().err
