"""The trainer's dataset: every column as it was, and prompts that the model has room for."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from rlkit.assets import model_path
from rlkit.errors import ConfigError
from rlkit.trainers.dataset import fit_prompts, make_dataset


def test_columns_of_any_kind_come_back_as_they_were(capfd):
    rows = [
        {"prompt": "a", "tests": None, "mixed": 1, "field": {"x": 1}, "images": ["no picture"]},
        {"prompt": "b", "tests": "assert True", "mixed": "one", "field": {"y": [1, "two"]}, "late": True},
        {"prompt": "c", "field": None},
    ]
    dataset = make_dataset(rows)
    for row, given in zip(dataset, rows, strict=True):
        assert row == {name: given.get(name) for name in ("prompt", "tests", "mixed", "field", "late")}
    assert "Rewards do not get the data's images" in capfd.readouterr().err


def test_what_no_dataset_holds_is_a_sentence():
    with pytest.raises(ConfigError, match="cannot be made a dataset"):
        make_dataset([{"prompt": "a", "number": 2**80}])


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(model_path("countdown-tiny"))


def test_prompts_without_room_are_left_out_and_tight_ones_counted(tokenizer, capfd):
    rows = [{"prompt": "1 2 ->3"}, {"prompt": "1 " * 100}, {"prompt": "1 " * 50}, {"prompt": "1 2 ->4"}]
    lengths = [len(tokenizer(row["prompt"])["input_ids"]) for row in rows]
    context = lengths[1]
    assert lengths[2] > context - 60
    assert fit_prompts(rows, tokenizer, context, 60) == [rows[0], rows[2], rows[3]]
    said = capfd.readouterr().err
    assert "1 of 4 prompts are left out, the first in row 2" in said
    assert "1 of 4 prompts leave less than max_completion_length=60" in said
    assert fit_prompts(rows, tokenizer, None, 60) == rows
    with pytest.raises(ConfigError, match="No prompt leaves room"):
        fit_prompts(rows[1:2], tokenizer, context, 60)


def test_chats_without_a_template_are_refused_before_training(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(ConfigError, match="has no chat template"):
        fit_prompts([{"prompt": [{"role": "user", "content": "x"}]}], tokenizer, 100, 5)
