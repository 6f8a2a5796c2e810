"""What makes two evaluations the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rlkit.errors import ConfigError
from rlkit.evaluation import configuration
from rlkit.evaluation.configuration import (
    EvaluationConfig,
    describe_spec,
    differences,
    model_fingerprint,
    prompts_digest,
    split_spec,
)
from rlkit.evaluation.engines.chat_format import ChatFormat
from tests.evaluation.conftest import FirstLetter
from tests.evaluation.samples.test_store import CONFIG


@pytest.mark.parametrize(
    "change",
    [
        {"n": 5},
        {"limit": 3},
        {"split": "train"},
        {"engine": "vllm"},
        {"task": "u"},
        {"prompts_digest": "q"},
        {"model_fingerprint": "g"},
        {"sampling": dataclasses.replace(CONFIG.sampling, seed=1)},
        {"adapter_fingerprint": "a"},
        {"chat": ChatFormat(system="b")},
        {"chat": ChatFormat(template="b")},
        {"chat": ChatFormat(template_args={"enable_thinking": False})},
    ],
)
def test_every_setting_that_changes_samples_changes_the_digest(change: dict[str, object]) -> None:
    other = dataclasses.replace(CONFIG, **change)
    assert other.digest != CONFIG.digest
    assert len(differences(CONFIG.as_json(), other.as_json())) == 1


def test_equal_configurations_have_equal_digests() -> None:
    assert dataclasses.replace(CONFIG, model="another path").digest == CONFIG.digest
    assert differences(CONFIG.as_json(), CONFIG.as_json()) == []
    assert dataclasses.replace(CONFIG, connection={"base_url": "elsewhere"}).digest == CONFIG.digest
    assert dataclasses.replace(CONFIG, adapter="another path").digest == CONFIG.digest


def test_configurations_of_before_there_were_adapters_and_chats_are_the_same_today() -> None:
    assert CONFIG.as_json().keys() == {
        "model", "model_fingerprint", "task", "split", "limit", "prompts_digest", "n", "engine", "sampling"
    }  # fmt: skip
    assert CONFIG.digest == "21eaf55da5f16f65"


def test_configurations_come_back_from_their_json() -> None:
    rich = dataclasses.replace(
        CONFIG,
        adapter="a",
        adapter_fingerprint="b",
        chat=ChatFormat(system="s", template_args={"x": 1}),
        connection={"concurrency": 4},
        sampling=dataclasses.replace(CONFIG.sampling, stop=("x",)),
    )
    assert EvaluationConfig.from_json(rich.as_json()) == rich
    assert EvaluationConfig.from_json(CONFIG.as_json() | {"of tomorrow": 1}) == CONFIG


def test_where_samples_come_from_is_told_apart_from_which_they_are() -> None:
    spec = {"name": "openai", "base_url": "http://a/v1", "concurrency": 4, "dialect": "openai"}
    assert split_spec(spec, ("base_url", "concurrency")) == (
        {"name": "openai", "dialect": "openai"},
        {"base_url": "http://a/v1", "concurrency": 4},
    )
    assert split_spec({"name": "openai", "base_url": "x"}, ("base_url",)) == ("openai", {"base_url": "x"})
    assert split_spec("hf", ("base_url",)) == ("hf", {})


def test_specs_are_told_apart_by_content_not_by_spelling() -> None:
    assert describe_spec({"name": "hf"}) == describe_spec("hf") == "hf"
    assert describe_spec({"name": "hf", "dtype": "float32"}) == {"name": "hf", "dtype": "float32"}
    assert describe_spec(FirstLetter(3)) == "FirstLetter(num_problems=3)"


def test_a_model_is_known_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(5_000_000))
    first = model_fingerprint(str(tmp_path))
    (tmp_path / "README.md").write_text("not part of the model")
    assert model_fingerprint(str(tmp_path)) == first
    weights.write_bytes(bytes(4_999_999) + b"x")
    assert model_fingerprint(str(tmp_path)) != first
    assert model_fingerprint("org/name") == "org/name"
    # Large files are read in blocks, of which the first and the last are two.
    monkeypatch.setattr(configuration, "_WHOLE_FILE_BYTES", 1_000_000)
    blocks = model_fingerprint(str(tmp_path))
    for changed in (b"x" + bytes(4_999_999), bytes(5_000_000)):
        weights.write_bytes(changed)
        assert model_fingerprint(str(tmp_path)) != blocks


def test_problems_are_known_by_ids_and_prompts() -> None:
    rows = FirstLetter().load("test")
    assert prompts_digest(rows) == prompts_digest(FirstLetter().load("test"))
    assert prompts_digest(rows) != prompts_digest(rows[:-1])
    assert prompts_digest(rows) != prompts_digest([{**rows[0], "prompt": "x"}, *rows[1:]])


def test_samples_of_another_tool_are_said_to_be_that() -> None:
    values = {"model": "m", "engine": "lighteval"}
    unknown = {**values, "sampling": {"temperature": 0.0, "top_p": None, "seed": None}}
    with pytest.raises(ConfigError, match="read from a log"):
        EvaluationConfig.from_json(unknown)
