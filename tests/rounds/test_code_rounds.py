"""The recipe of rounds on code, from sampling over the sandbox to the report, with a toy model and toy problems."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
import torch

from rlkit.archive import Archive
from rlkit.diversity import resolve_partition
from rlkit.errors import ConfigError
from rlkit.evaluation.samples.reading import read_samples
from rlkit.files import read_json
from rlkit.recipe import build_recipe, load_recipe
from rlkit.rounds.run import run_rounds
from rlkit.tasks import resolve_task

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from base_model.corpus import Problems
from base_model.recipe import BaseModelRecipe, CorpusSize, ModelShape
from base_model.tokenizer import build_tokenizer
from write_base_corpus import build_model

SHAPE = ModelShape(hidden_size=48, intermediate_size=96, num_layers=2, num_heads=2, max_length=128)
PROBLEMS = {"train": ["double", "square", "negate", "half"], "test": ["next", "zero"]}
BODIES = {
    "double": ["{0} + {0}", "2 * {0}", "{0} * 2"],
    "square": ["{0} * {0}", "{0} ** 2"],
    "negate": ["- {0}", "0 - {0}"],
    "half": ["{0} / 2", "0.5 * {0}"],
    "next": ["{0} + 1", "1 + {0}"],
    "zero": ["0", "{0} - {0}"],
}


def write_problems(folder: Path) -> dict:
    """Write files in MBPP's columns; returns the task."""
    folder.mkdir()
    for split, names in PROBLEMS.items():
        rows = [problem(name) for name in names]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"name": "mbpp", "path": str(folder), "format": "plain"}


def problem(name: str) -> dict:
    code = f"def {name}(x):\n    return {BODIES[name][0].format('x')}"
    values: dict = {}
    exec(code, values)
    tests = [f"assert {name}( {x} ) == {values[name](x)}" for x in (4, 6)]
    return {"task_id": name, "text": f"Write {name} .", "code": code, "test_list": tests, "test_setup_code": ""}


def answers(row: dict) -> list[str]:
    """Return right programs under three names, and half as many wrong ones."""
    name = row["entry_point"]
    right = [f"def {name} ( {x} ) : return {body.format(x)}" for body in BODIES[name] for x in ("x", "n", "value")]
    return right + [f"def {name} ( {x} ) : return {x} {end}" for x in ("x", "n") for end in ("- 3", "- 4", ")")]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Return a task, and a model that has seen its problems with right and wrong programs."""
    folder = tmp_path_factory.mktemp("toy")
    spec = write_problems(folder / "problems")
    task = resolve_task(spec)
    rows = [row for split in PROBLEMS for row in task.load(split)]
    texts = [(row["prompt"], answer) for row in rows for answer in answers(row)]
    words = ["<pad>", "<bos>", "<eos>", "<unk>", *sorted({word for pair in texts for word in " ".join(pair).split()})]
    tokenizer = build_tokenizer(words, SHAPE.max_length)
    model = build_model(BaseModelRecipe(Problems(), SHAPE, CorpusSize()), tokenizer)
    learn(model, tokenizer, texts)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return spec, str(folder / "model")


def learn(model, tokenizer, texts) -> None:
    optimizer, generator = torch.optim.AdamW(model.parameters(), 3e-3), random.Random(0)
    for _ in range(250):
        batch = generator.sample(texts, 24)
        ids = [tokenizer(f"{prompt} {answer} <eos>")["input_ids"] for prompt, answer in batch]
        longest = max(map(len, ids))
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        starts = torch.tensor([len(tokenizer(prompt)["input_ids"]) for prompt, _ in batch])
        labels = padded.masked_fill((padded == 0) | (torch.arange(longest) < starts[:, None]), -100)
        model(input_ids=padded, attention_mask=(padded != 0).long(), labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def build(task: dict, model: str, output: Path):
    """Return the shipped recipe, made small enough for a toy on a processor."""
    values = load_recipe("code/rounds").to_mapping()
    train = values["sft"]["train"] | {"bf16": False, "model_init_kwargs": {"dtype": "float32"}, "max_length": 128}
    train |= {"gradient_accumulation_steps": 1, "learning_rate": 1e-3, "gradient_checkpointing": False}
    small = {"model": model, "task": task, "output": str(output), "samples": 12, "engine": None}
    small |= {"sampling": {"max_tokens": 24}, "held_out": {"n": 8, "temperature": [0.2, 0.8]}, "sft": {"train": train}}
    return build_recipe(values | small)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_programs_are_drawn_tested_told_apart_and_learnt(toy, tmp_path):
    task, model = toy
    assert run_rounds(build(task, model, tmp_path / "out")).status == "finished"
    base, first = read_json(tmp_path / "out" / "rounds.json")["rounds"]
    archive = Archive.open(tmp_path / "out" / "round-1" / "archive.jsonl")
    assert archive.partition == "syntax_tree"
    assert 0 < first["solutions"] == archive.num_solutions < first["correct"] < first["samples"] == 48
    right = [each for each in read_samples(tmp_path / "out" / "round-1" / "draws") if each["correct"]]
    texts = {(each["prompt_id"], each["completion"]) for each in right}
    assert len(texts) > archive.num_solutions, "other names of variables are no other solutions"
    partition = resolve_partition("syntax_tree")
    for id, found in archive.problems.items():
        mine = [text for prompt, text in texts if prompt == id]
        assert len({*partition.features(mine)}) == len(found.solutions)
    assert 0 < base["pass@1"] < 1
    assert 0 <= first["pass@1"] <= first["pass@8"] <= 1
    assert (tmp_path / "out" / "model" / "config.json").exists()
    assert "round-1" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_model_that_solves_nothing_is_told_so(toy, tmp_path):
    with pytest.raises(ConfigError, match="Not one of 48 samples is correct, so there is nothing to learn"):
        run_rounds(build(toy[0], "countdown-tiny", tmp_path / "out"))
    assert read_json(tmp_path / "out" / "run.json")["status"] == "failed"
