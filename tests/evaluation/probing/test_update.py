"""Change of weights from files: against the tensors themselves, in shards, tied, in bfloat16, and of LoRA adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from rlkit.errors import ConfigError
from rlkit.evaluation.probing import update, weights
from rlkit.evaluation.probing.policy import load_policy, lora_changes
from rlkit.evaluation.probing.update import layer_of, measure_update
from rlkit.evaluation.probing.weights import SavedWeights, row_slices
from tests.evaluation.conftest import build_tiny_model
from tests.evaluation.probing.conftest import perturbed_copy


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return perturbed_copy(base, tmp_path_factory.mktemp("tuned"), scale=1e-5)


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rank 2 adapter on two projections, its B filled as training would."""
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    model.save_pretrained(folder)
    return folder


def parameters(path: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).named_parameters())


def test_it_equals_the_tensors_themselves(base: Path, tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Slices of a few rows, so that every matrix is put together from several.
    monkeypatch.setattr(weights, "_SLICE_ENTRIES", 500)
    found = measure_update(str(tuned), str(base), {}, {})
    before, after = parameters(base), parameters(tuned)
    changes = torch.cat([(after[name] - before[name]).detach().flatten() for name in before])
    assert found["num_weights"] == len(changes)
    for tolerance in (0.0, 1e-8, 1e-6, 1e-5, 1e-4):
        share = float((changes.abs() <= tolerance).double().mean())
        assert found["sparsity"][f"{tolerance:g}"] == pytest.approx(share)
    norm = torch.cat([value.detach().flatten() for value in before.values()]).norm()
    assert found["relative_change"] == pytest.approx(float(changes.norm() / norm), rel=1e-4)
    assert 0.5 < found["sparsity"]["1e-05"] < 0.8
    assert found["caution"] is None
    assert [layer["name"] for layer in found["layers"]] == ["0", "1", "embed_tokens", "lm_head", "norm"]
    assert sum(layer["num_weights"] for layer in found["layers"]) == found["num_weights"]
    (rank,) = [each for each in found["ranks"] if each["name"].endswith("0.mlp.up_proj.weight")]
    change = (after[rank["name"]] - before[rank["name"]]).detach()
    assert rank["numerical_rank"] == torch.linalg.matrix_rank(change)
    assert rank["stable_rank"] == pytest.approx(
        float(change.norm() ** 2 / torch.linalg.matrix_norm(change, 2) ** 2), rel=1e-4
    )
    assert {layer_of(each["name"]) for each in found["ranks"]} == {"0"}


def test_shards_give_what_one_file_gives(base: Path, tuned: Path, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_pretrained(tuned).save_pretrained(tmp_path, max_shard_size="40KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    assert measure_update(str(tmp_path), str(base), {}, {}) == measure_update(str(tuned), str(base), {}, {})


def test_files_in_bfloat16_look_sparse_and_are_cautioned_about(base: Path, tmp_path: Path) -> None:
    before = perturbed_copy(base, tmp_path / "before", scale=0.0, dtype=torch.bfloat16)
    after = perturbed_copy(base, tmp_path / "after", scale=1e-5, dtype=torch.bfloat16)
    found = measure_update(str(after), str(before), {}, {})
    assert found["dtypes"] == {"model": ["bfloat16"], "base": ["bfloat16"]}
    assert found["sparsity"]["0"] > 0.95
    assert "rounded away" in found["caution"]


def test_tied_weights_count_once(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=11,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    with SavedWeights(str(tmp_path)) as saved:
        assert "lm_head.weight" not in saved.shapes
        assert saved.shapes == {name: tuple(each.shape) for name, each in sorted(model.named_parameters())}


def test_an_adapter_changes_weights_by_a_low_rank_product(base: Path, adapter: Path) -> None:
    policy = load_policy(str(base), str(adapter), device="cpu")
    added = lora_changes(policy)
    assert {name.split(".")[-2] for name in added} == {"q_proj", "down_proj"}
    name = "model.layers.0.self_attn.q_proj.weight"
    module = policy.model.get_submodule(name.removesuffix(".weight"))
    product = 3.0 * module.lora_B["default"].weight @ module.lora_A["default"].weight
    torch.testing.assert_close(added[name], product.detach())
    found = measure_update(str(base), str(base), added, {})
    assert found["has_adapter"] == {"model": True, "base": False}
    untouched = found["num_weights"] - sum(each.numel() for each in added.values())
    assert found["sparsity"]["0"] == pytest.approx(untouched / found["num_weights"])
    ranks = {each["name"]: each for each in found["ranks"]}
    assert ranks[name]["numerical_rank"] == 2
    assert ranks[name]["stable_rank"] <= 2.0001
    assert ranks["model.layers.0.mlp.up_proj.weight"]["numerical_rank"] == 0
    # The other way round, the base is the one that moved.
    back = measure_update(str(base), str(base), {}, added)
    assert back["sparsity"] == found["sparsity"]
    assert back["relative_change"] == pytest.approx(found["relative_change"], rel=0.2)


@pytest.mark.parametrize("option", [{"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}])
def test_adapters_that_are_no_product_are_one_sentence(base: Path, tmp_path: Path, option: dict[str, object]) -> None:
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", **option)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=f"was made with {next(iter(option))}"):
        lora_changes(load_policy(str(base), str(tmp_path), device="cpu"))


def test_an_adapter_of_the_embedding_counts_too(base: Path, tmp_path: Path) -> None:
    config = LoraConfig(r=2, target_modules=["embed_tokens"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_embedding" in name:
                parameter.normal_(std=0.1)
    model.save_pretrained(tmp_path)
    found = measure_update(str(base), str(base), lora_changes(load_policy(str(base), str(tmp_path), device="cpu")), {})
    changed = {layer["name"] for layer in found["layers"] if layer["sparsity"]["0"] < 1.0}
    assert changed == {"embed_tokens"}


def test_merging_an_adapter_gives_the_same_change(base: Path, adapter: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).merge_and_unload()
    merged.save_pretrained(tmp_path)
    unmerged = measure_update(
        str(base), str(base), lora_changes(load_policy(str(base), str(adapter), device="cpu")), {}
    )
    found = measure_update(str(tmp_path), str(base), {}, {})
    assert found["relative_change"] == pytest.approx(unmerged["relative_change"], rel=1e-3)


def test_other_architectures_and_missing_files_are_one_sentence(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only one of them has a weight"):
        measure_update(str(base), "rlkit/assets/countdown-tiny", {}, {})
    with pytest.raises(ConfigError, match="no safetensors files"):
        measure_update(str(base), str(tmp_path), {}, {})
    with pytest.raises(ConfigError, match="An adapter changes 'x'"):
        measure_update(str(base), str(base), {"x": torch.zeros(1)}, {})
    wide = LlamaConfig(**{**AutoModelForCausalLM.from_pretrained(base).config.to_dict(), "intermediate_size": 90})
    LlamaForCausalLM(wide).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"has shape \[64, 96\] in the one"):
        measure_update(str(base), str(tmp_path), {}, {})


def test_slices_cover_a_parameter_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_SLICE_ENTRIES", 12)
    assert list(row_slices((7, 5))) == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert list(row_slices((2, 50))) == [(0, 1), (1, 2)]
    assert list(row_slices(())) == [(0, 1)]
    assert update.layer_of("transformer.h.11.attn.c_attn.bias") == "11"
    assert update.layer_of("model.embed_tokens.weight") == "embed_tokens"
