"""LoRA adapters on a model, unmerged: what the merged model draws, and one sentence for each that does not fit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rlkit.cli import main
from rlkit.errors import ConfigError
from rlkit.evaluation import SamplingConfig, evaluate, store
from rlkit.evaluation.engines.adapters import PolicySource, adapter_rank, locate_policy
from rlkit.evaluation.engines.hf import HfEngine
from tests.evaluation.conftest import FirstLetter, build_tiny_model

SAMPLING = SamplingConfig(max_tokens=20, seed=1)
TARGETS = ["q_proj", "v_proj", "down_proj"]


def build_adapter(base: Path, folder: Path, rank: int = 4, scale: float = 0.2) -> Path:
    """Save a LoRA adapter whose B is not zero, as a new one's is."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=scale)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_adapter(tiny_model, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def merged(tiny_model: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("merged")
    shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
    PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model), adapter
    ).merge_and_unload().save_pretrained(folder)
    return folder


def draw(model: Path, **settings: Any) -> dict[tuple[str, int], Any]:
    rows = FirstLetter().load("test")
    batches = HfEngine().sample(str(model), rows, 6, SAMPLING, frozenset(), **settings)
    return {sample.key: sample for batch in batches for sample in batch}


def test_it_draws_what_the_merged_model_draws_and_not_the_base(tiny_model: Path, adapter: Path, merged: Path) -> None:
    base, ours, theirs = draw(tiny_model), draw(tiny_model, adapter=str(adapter)), draw(merged)
    assert {key: s.completion for key, s in ours.items()} == {key: s.completion for key, s in theirs.items()}
    for key, sample in ours.items():
        assert sample.logp_sum == pytest.approx(theirs[key].logp_sum, abs=1e-4)
        assert sample.entropy_mean == pytest.approx(theirs[key].entropy_mean, abs=1e-4)
    assert sum(ours[key].completion != base[key].completion for key in base) > len(base) / 2


def test_a_directory_of_only_an_adapter_brings_its_base(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    task, more = FirstLetter(2), {"sampling": SAMPLING, "name": "x"}
    named = evaluate(str(tiny_model), task, 2, tmp_path / "named", adapter=str(adapter), **more)
    found = evaluate(str(adapter), task, 2, tmp_path / "found", **more)
    assert found == named
    config = json.loads((tmp_path / "found" / "config.json").read_text())["config"]
    assert (config["model"], config["adapter"]) == (str(tiny_model), str(adapter))


def test_the_adapter_s_files_are_part_of_what_identifies_samples(
    tiny_model: Path, adapter: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(adapter, copy)
    evaluate(str(tiny_model), FirstLetter(2), 2, tmp_path / "out", adapter=str(adapter), sampling=SAMPLING)
    evaluate(str(tiny_model), FirstLetter(2), 2, tmp_path / "out", adapter=str(copy), sampling=SAMPLING)
    (copy / "note.txt").write_text("changed")
    with pytest.raises(store.StoreError, match="the adapter is another, or its files have changed"):
        evaluate(str(tiny_model), FirstLetter(2), 2, tmp_path / "out", adapter=str(copy), sampling=SAMPLING)
    with pytest.raises(store.StoreError, match="the adapter is another"):
        evaluate(str(tiny_model), FirstLetter(2), 2, tmp_path / "out", sampling=SAMPLING)


def damage_config(adapter: Path, **changes: Any) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: (path / "adapter_config.json").unlink(), "is a directory with adapter_config.json"),
        (lambda path: (path / "adapter_model.safetensors").unlink(), "has no weights"),
        (lambda path: (path / "adapter_model.safetensors").write_bytes(b"x" * 100), "cannot be read"),
        (lambda path: (path / "adapter_config.json").write_text("{"), "cannot be read as JSON"),
        (lambda path: damage_config(path, peft_type="IA3"), "of the kind 'IA3'; only LORA"),
    ],
)
def test_a_damaged_adapter_is_one_sentence(
    tiny_model: Path, adapter: Path, tmp_path: Path, damage: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(adapter, copy)
    damage(copy)
    assert_refused(["--model", str(tiny_model), "--adapter", str(copy)], said, tmp_path, capsys)


def assert_refused(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = f"{Path(__file__).parents[1] / 'conftest.py'}:FirstLetter"
    output = tmp_path / "refused"
    assert main(["eval", *words, "--task", task, "--n", "2", "--output", str(output)]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not output.exists()


def test_an_adapter_that_does_not_fit_is_refused_before_anything_is_loaded(
    tiny_model: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "countdown-tiny", "--adapter", str(adapter)]
    assert_refused(words, "does not fit the model", tmp_path, capsys)
    from transformers import GPT2Config, GPT2LMHeadModel

    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    (other / "model.safetensors").unlink()
    GPT2LMHeadModel(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=1)).save_pretrained(other)
    assert_refused(["--model", str(other), "--adapter", str(adapter)], "has no layer", tmp_path, capsys)
    words = ["--model", str(adapter), "--adapter", str(adapter)]
    assert_refused(words, "is itself an adapter", tmp_path, capsys)


def test_weights_for_other_layers_than_the_configuration_names_are_refused(
    tiny_model: Path, adapter: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(adapter, copy)
    damage_config(copy, target_modules=["q_proj", "k_proj"])
    # peft warns, and would draw from a model with half an adapter.
    with pytest.raises(ConfigError, match=r"does not fit the model .* is in only one of the two"):
        draw(tiny_model, adapter=str(copy))


def test_a_base_that_is_gone_is_named(adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(adapter, copy)
    damage_config(copy, base_model_name_or_path="./gone")
    assert_refused(["--model", str(copy)], "no model directory './gone'", tmp_path, capsys)
    damage_config(copy, base_model_name_or_path=None)
    assert_refused(["--model", str(copy)], "names no base model", tmp_path, capsys)


def test_engines_without_adapters_say_so(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    class Plain:
        def __repr__(self) -> str:
            return "Plain()"

        def check(self) -> None:
            pass

        def sample(self, model: str, rows: list, n: int, sampling: object, done: object) -> list:
            return []

    with pytest.raises(ConfigError, match=r"The engine Plain\(\) takes no adapter"):
        evaluate(str(tiny_model), FirstLetter(), 2, tmp_path, engine=Plain(), adapter=str(adapter))


def test_names_that_servers_know_are_no_directories() -> None:
    assert locate_policy("org/name", "mine", is_name=True) == PolicySource("org/name", "org/name", "mine", "mine")


def test_the_rank_is_the_largest(tiny_model: Path, tmp_path: Path) -> None:
    folder = build_adapter(tiny_model, tmp_path, rank=3)
    assert adapter_rank(str(folder)) == 3
    damage_config(folder, rank_pattern={"q_proj": 9})
    assert adapter_rank(str(folder)) == 9


@pytest.mark.needs_vllm
@pytest.mark.slow
@pytest.mark.side_by_side
def test_vllm_and_transformers_agree_on_an_adapter(tmp_path: Path) -> None:
    base = build_tiny_model(tmp_path / "base")
    adapter = build_adapter(base, tmp_path / "adapter")
    found = {}
    for engine in ("hf", "vllm"):
        task = f"{Path(__file__).parents[1] / 'conftest.py'}:FirstLetter"
        words = ["--model", str(base), "--adapter", str(adapter), "--task", task, "--n", "150", "--max-tokens", "20"]
        command = [sys.executable, "-m", "rlkit", "eval", *words, "--engine", engine, "--output"]
        # A process of its own: vLLM binds threads and holds memory for as long as its process lives.
        subprocess.run([*command, str(tmp_path / engine)], check=True, capture_output=True, text=True)
        records = store.read_samples(tmp_path / engine)
        found[engine] = {(r["prompt_id"], r["completion"]): r for r in records if r["finish_reason"] == "stop"}
    shared = [key for key in found["hf"].keys() & found["vllm"].keys() if is_plain(found, key)]
    assert len(shared) > 30
    for key in shared:
        assert found["hf"][key]["logp_sum"] == pytest.approx(found["vllm"][key]["logp_sum"], abs=1e-3)
    known = {(s.prompt_id, s.completion): s.logp_sum for s in draw(base).values()}
    both = [(known[key], record["logp_sum"]) for key, record in found["hf"].items() if key in known]
    assert any(abs(one - other) > 0.1 for one, other in both)


def is_plain(found: dict, key: tuple[str, str]) -> bool:
    """Whether a text tells its tokens: special ones in its middle do not show."""
    return all(each[key]["num_tokens"] == len(key[1].split()) + 1 for each in found.values())
