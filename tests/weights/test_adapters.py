"""Adapters merged as adapters against the models that they make: the same sum of products, to 1e-6."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.weights import average_models, interpolate_models, restore_layers, write_merge
from tests.weights.conftest import build_adapter, logits_of, tensors_of


def put_into_base(base: Path, adapter: Path, folder: Path | None = None) -> dict[str, torch.Tensor]:
    """Return the weights of the base with an adapter merged in, in float64, by PEFT."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64)
    merged = PeftModel.from_pretrained(model, adapter, autocast_adapter_dtype=False).merge_and_unload()
    if folder is not None:
        merged.save_pretrained(folder)
    return {name: each.detach() for name, each in merged.named_parameters()}


def mean_of(base: Path, adapters: Sequence[Path], weights: Sequence[float]) -> dict[str, torch.Tensor]:
    parts = [put_into_base(base, each) for each in adapters]
    return {
        name: sum((w * part[name] for w, part in zip(weights, parts, strict=True)), torch.zeros_like(parts[0][name]))
        for name in parts[0]
    }


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two adapters that share nothing: other A, B, rank and scale."""
    root = tmp_path_factory.mktemp("adapters")
    return [
        build_adapter(base, root / "a", seed=1),
        build_adapter(base, root / "b", seed=2, r=3, lora_alpha=4, use_rslora=True),
    ]


@pytest.mark.parametrize("settings", [{}, {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"layers.1.*q_proj": 5}}])
def test_an_average_makes_the_average_of_the_merged_models(
    base: Path, adapters: list[Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    first = build_adapter(base, tmp_path / "first", seed=5, **settings) if settings else adapters[0]
    write_merge(average_models([str(first), str(adapters[1])], [1, 3]), tmp_path / "out")
    assert_close(put_into_base(base, tmp_path / "out"), mean_of(base, [first, adapters[1]], [0.25, 0.75]))
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == (7 if settings else 5)
    assert not config["use_rslora"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "weighted mean of 2 adapters: of what they add to their base" in card
    assert "side by side along the rank" in card


def test_the_mean_of_both_factors_would_be_another_model(base: Path, adapters: list[Path]) -> None:
    # What a mean of state dicts gives of e1 e1' and e2 e2': a quarter everywhere in place of half a unit matrix.
    unit = torch.eye(2)
    a, b = (unit[:1] + unit[1:]) / 2, (unit[:, :1] + unit[:, 1:]) / 2
    torch.testing.assert_close(b @ a, torch.full((2, 2), 0.25))
    side_by_side = torch.cat([0.5 * unit[:, :1], 0.5 * unit[:, 1:]], dim=1) @ torch.cat([unit[:1], unit[1:]])
    torch.testing.assert_close(side_by_side, unit / 2)


def test_copies_come_out_bit_by_bit_at_their_rank(adapters: list[Path], tmp_path: Path) -> None:
    write_merge(average_models([str(adapters[0])] * 3), tmp_path / "out")
    found, before = tensors_of(tmp_path / "out"), tensors_of(adapters[0])
    assert found.keys() == before.keys()
    assert all(torch.equal(found[name], before[name]) for name in found)
    assert "only B was mixed" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_between_the_base_and_an_adapter_only_b_is_scaled(
    base: Path, adapters: list[Path], tmp_path: Path, weight: float
) -> None:
    for adapter in adapters:
        out = tmp_path / adapter.name
        write_merge(interpolate_models(str(base), str(adapter), weight), out)
        start = put_into_base(base, adapter)
        origin = {name: each.double() for name, each in tensors_of(base).items()}
        wanted = {name: (1 - weight) * origin[name] + weight * start[name] for name in start}
        assert_close(put_into_base(base, out, tmp_path / f"{adapter.name}-merged"), wanted)
        before, after = tensors_of(adapter), tensors_of(out)
        assert all(torch.equal(after[name], before[name]) for name in before if "lora_A" in name)
        if weight == 1.0:
            assert all(torch.equal(after[name], before[name]) for name in before)
    if weight == 0.0:
        torch.testing.assert_close(logits_of(tmp_path / "a-merged"), logits_of(base))


def test_between_two_adapters(base: Path, adapters: list[Path], tmp_path: Path) -> None:
    write_merge(interpolate_models(str(adapters[0]), str(adapters[1]), 0.6), tmp_path / "out")
    assert_close(put_into_base(base, tmp_path / "out"), mean_of(base, adapters, [0.4, 0.6]))
    for weight in (0, 1):
        out = tmp_path / f"end{weight}"
        write_merge(interpolate_models(str(adapters[0]), str(adapters[1]), weight), out)
        assert_close(put_into_base(base, out), put_into_base(base, adapters[weight]))
        assert json.loads((out / "adapter_config.json").read_text())["r"] == (2, 3)[weight]


@pytest.mark.parametrize("is_on_base", [True, False])
def test_restored_layers_have_nothing_of_the_adapter(
    base: Path, adapters: list[Path], tmp_path: Path, is_on_base: bool
) -> None:
    below = base if is_on_base else adapters[0]
    write_merge(restore_layers(str(below), str(adapters[1]), [0]), tmp_path / "out")
    origin = (
        {name: each.double() for name, each in tensors_of(base).items()}
        if is_on_base
        else put_into_base(base, adapters[0])
    )
    trained = put_into_base(base, adapters[1])
    wanted = {name: (origin if ".layers.0." in name else trained)[name] for name in trained}
    assert_close(put_into_base(base, tmp_path / "out"), wanted)
    with pytest.raises(ConfigError, match="layers 0 to 1, and layer 5"):
        write_merge(restore_layers(str(base), str(adapters[1]), [5]), tmp_path / "no")


def test_embeddings_are_summed_too(base: Path, tmp_path: Path) -> None:
    pair = [
        build_adapter(base, tmp_path / str(seed), seed=seed, target_modules=["embed_tokens", "v_proj"])
        for seed in (1, 2)
    ]
    for folder in pair:
        drop_embeddings(folder)
    write_merge(average_models([str(each) for each in pair]), tmp_path / "out")
    assert_close(put_into_base(base, tmp_path / "out"), mean_of(base, pair, [0.5, 0.5]))


def drop_embeddings(folder: Path) -> None:
    """Take out the copy of the whole embedding that PEFT saves beside an adapter on it."""
    from safetensors.torch import save_file

    kept = {name: each for name, each in tensors_of(folder).items() if "lora_" in name}
    assert len(kept) == 6
    save_file(kept, folder / "adapter_model.safetensors")


def test_sixteen_bits_become_thirty_two_so_that_no_scale_is_rounded(base: Path, adapters: list[Path], tmp_path: Path):
    from safetensors.torch import save_file

    half = tmp_path / "half"
    shutil.copytree(adapters[0], half)
    save_file({name: each.bfloat16() for name, each in tensors_of(half).items()}, half / "adapter_model.safetensors")
    write_merge(average_models([str(half), str(adapters[1])], [1, 2]), tmp_path / "out")
    assert {each.dtype for each in tensors_of(tmp_path / "out").values()} == {torch.float32}
    assert_close(put_into_base(base, tmp_path / "out"), mean_of(base, [half, adapters[1]], [1 / 3, 2 / 3]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "made with use_dora"),
        ({"bias": "all"}, "made with bias"),
        ({"modules_to_save": ["lm_head"]}, "made with modules_to_save"),
        ({"target_modules": ["q_proj"]}, "has a tensor 'base_model.model.model.layers.0.mlp.down_proj.lora_A.weight'"),
        ({"task_type": None}, "their task_type are 'CAUSAL_LM' and None"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(
    base: Path, adapters: list[Path], tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    bad = build_adapter(base, tmp_path / "bad", **settings)
    with pytest.raises(ConfigError, match=said):
        write_merge(average_models([str(adapters[0]), str(bad)]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_adapters_and_models_do_not_mix(base: Path, adapters: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is an adapter and .* a whole model"):
        average_models([str(base), str(adapters[0])])
    with pytest.raises(ConfigError, match=r"is an adapter and .* a whole model"):
        interpolate_models(str(adapters[0]), str(base), 0.5)
    with pytest.raises(ConfigError, match="does not fit the model"):
        write_merge(interpolate_models("countdown-tiny", str(adapters[0]), 0.5), tmp_path / "out")
    factor = adapters[0].parent / "torn"
    shutil.copytree(adapters[0], factor)
    (factor / "adapter_model.safetensors").unlink()
    with pytest.raises(ConfigError, match="no safetensors"):
        write_merge(average_models([str(adapters[0]), str(factor)]), tmp_path / "out")
