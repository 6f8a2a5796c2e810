"""Merged models against weights merged by hand: bit by bit at the ends, in shards, in types, in logits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rlkit.errors import ConfigError, StoreError
from rlkit.weights import Mixture, average_models, interpolate_models, merge, restore_layers, write_merge
from rlkit.weights.tensor_files import TensorFiles
from tests.evaluation.conftest import build_tiny_model
from tests.weights.conftest import logits_of, perturb, tensors_of


def write(mixture: Mixture, folder: Path) -> dict[str, torch.Tensor]:
    write_merge(mixture, folder)
    return tensors_of(folder)


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)


def test_an_average_of_copies_is_the_copy_bit_by_bit(run: Path, tmp_path: Path) -> None:
    assert_same(write(average_models([str(run)] * 3), tmp_path / "out"), tensors_of(run))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_ends_of_an_interpolation_are_its_models_bit_by_bit(
    base: Path, run: Path, tmp_path: Path, weight: float
) -> None:
    found = write(interpolate_models(str(base), str(run), weight), tmp_path / "out")
    assert_same(found, tensors_of(run if weight else base))


@pytest.mark.parametrize("piece", [64, 32 << 20])
def test_an_average_is_what_a_hand_makes_of_the_weights_and_gives_its_logits(
    base: Path, run: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    # Pieces of a few weights, so that every tensor is put together from several.
    monkeypatch.setattr(merge, "_PIECE_BYTES", piece)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = write(average_models([str(base), str(run), str(other)], [1, 1, 2]), tmp_path / "out")
    parts = [tensors_of(folder) for folder in (base, run, other)]
    by_hand = {
        name: 0.25 * parts[0][name].double() + 0.25 * parts[1][name].double() + 0.5 * parts[2][name].double()
        for name in parts[0]
    }
    torch.testing.assert_close({name: each.double() for name, each in found.items()}, by_hand, rtol=0, atol=3e-7)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64).eval()
    model.load_state_dict(by_hand)
    with torch.no_grad():
        wanted = model(torch.tensor([[2, 5, 3, 9, 4], [7, 7, 1, 2, 8]])).logits
    torch.testing.assert_close(logits_of(tmp_path / "out"), wanted, rtol=0, atol=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("a b")["input_ids"] == [2, 3]


def test_shards_give_what_one_file_gives_and_stay_shards(base: Path, run: Path, sharded: Path, tmp_path: Path) -> None:
    whole = write(interpolate_models(str(base), str(run), 0.3), tmp_path / "whole")
    assert_same(write(interpolate_models(str(base), str(sharded), 0.3), tmp_path / "parts"), whole)
    index = json.loads((tmp_path / "parts" / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]
    assert index["metadata"]["total_size"] == sum(each.nbytes for each in whole.values())
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    torch.testing.assert_close(logits_of(tmp_path / "parts"), logits_of(tmp_path / "whole"), rtol=0, atol=0)


def test_restoring_takes_exactly_the_named_layers(base: Path, run: Path, tmp_path: Path) -> None:
    found = write(restore_layers(str(base), str(run), [1]), tmp_path / "out")
    before, after = tensors_of(base), tensors_of(run)
    restored = {name for name in found if torch.equal(found[name], before[name])}
    assert restored == {name for name in found if name.startswith("model.layers.1.")}
    assert len(restored) == 9
    assert all(torch.equal(found[name], after[name]) for name in found.keys() - restored)
    assert_same(write(interpolate_models(str(base), str(run), 1.0), tmp_path / "run"), after)


def test_types_are_kept_and_unlike_ones_widen(base: Path, run: Path, tmp_path: Path) -> None:
    half, half_run = (
        perturb(base, tmp_path / "half", 0, 0.0),
        perturb(run, tmp_path / "half_run", 0, 0.0),
    )
    from transformers import AutoModelForCausalLM

    for folder in (half, half_run):
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    found = write(average_models([str(half), str(half_run)]), tmp_path / "kept")
    assert {each.dtype for each in found.values()} == {torch.bfloat16}
    mean = {
        name: ((one.float() + other.float()) / 2).bfloat16()
        for (name, one), other in zip(tensors_of(half).items(), tensors_of(half_run).values(), strict=True)
    }
    assert all(torch.equal(found[name], mean[name]) for name in mean)
    merged = write_merge(interpolate_models(str(half), str(run), 0.5), tmp_path / "wide")
    assert {each.dtype for each in tensors_of(tmp_path / "wide").values()} == {torch.float32}
    assert json.loads((tmp_path / "wide" / "config.json").read_text())["dtype"] == "float32"
    assert "widest, float32" in merged.notes[0]
    # The template has the wider type, so its own configuration holds; the other way about it must be rewritten.
    write_merge(interpolate_models(str(run), str(half), 0.5), tmp_path / "rewritten")
    assert json.loads((tmp_path / "rewritten" / "config.json").read_text())["dtype"] == "float32"
    steps = write_merge(interpolate_models(str(half), str(half_run), 0.5), tmp_path / "steps")
    assert "16 bits" in steps.notes[0]


def test_a_tied_head_that_one_model_stores_is_no_difference(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from rlkit.assets import model_path

    source = model_path("countdown-tiny")
    stored = tmp_path / "stored"
    shutil.copytree(source, stored)
    tensors = load_file(stored / "model.safetensors")
    save_file(tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, stored / "model.safetensors")
    found = write(average_models(["countdown-tiny", str(stored)]), tmp_path / "out")
    assert_same(found, tensors)
    found = write(average_models([str(stored), "countdown-tiny"]), tmp_path / "out2")
    assert_same(found, tensors)


def test_the_card_and_the_record_say_what_it_is_made_of(base: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_merge(restore_layers(str(base), str(run), [1]), out)
    card, record = (out / "README.md").read_text(), json.loads((out / "merge.json").read_text())
    assert f"| {base} | 0 | " in card
    assert "layers 1 put back" in card
    assert record["layers"] == [1]
    assert [each["name"] for each in record["sources"]] == [str(base), str(run)]
    found, before = tensors_of(out), tensors_of(base)
    same = sum(int((found[name] == before[name]).sum()) for name in found) / sum(
        each.numel() for each in found.values()
    )
    assert record["unchanged"][0] == pytest.approx(same)
    assert f"{same:.4%}" in card
    assert {path.name for path in out.iterdir()} == {
        *("README.md", "merge.json", "config.json", "generation_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }


def test_what_a_merge_wrote_can_be_merged_again(base: Path, run: Path, other: Path, tmp_path: Path) -> None:
    write_merge(average_models([str(base), str(run)]), tmp_path / "once")
    again = write(average_models([str(tmp_path / "once"), str(other)], [2, 1]), tmp_path / "twice")
    straight = write(average_models([str(base), str(run), str(other)]), tmp_path / "straight")
    torch.testing.assert_close(again, straight, rtol=0, atol=1e-6)


def damage(model: Path, folder: Path, how: str) -> Path:
    """Return a copy of a model that does not fit it, or cannot be read."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    tensors, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    if how == "lacks":
        del tensors["model.layers.0.mlp.up_proj.weight"]
    elif how == "more":
        tensors["extra.weight"] = torch.zeros(3)
    elif how == "shape":
        tensors["model.norm.weight"] = torch.zeros(65)
    elif how == "kind":
        tensors["model.norm.weight"] = torch.zeros(64, dtype=torch.int64)
    elif how == "config":
        config["rms_norm_eps"] = 0.5
    elif how == "quantised":
        config["quantization_config"] = {"quant_method": "fp8"}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    if how == "torn":
        os.truncate(folder / "model.safetensors", 5000)
    elif how == "empty":
        (folder / "model.safetensors").write_bytes(b"")
    elif how == "pickled":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    elif how == "tokenizer":
        file = folder / "tokenizer.json"
        file.write_text(file.read_text().replace('"h": 9', '"z": 9').replace('"h":9', '"z":9'))
    return folder


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("lacks", "has a tensor 'model.layers.0.mlp.up_proj.weight' and"),
        ("more", "has a tensor 'extra.weight' and"),
        ("shape", "'model.norm.weight' is F32 \\[64\\] in .* and F32 \\[65\\]"),
        ("kind", "'model.norm.weight' is F32 \\[64\\] in .* and I64 \\[64\\]"),
        ("config", "config.json differ in rms_norm_eps, 1e-06 and 0.5"),
        ("quantised", "is quantised"),
        ("torn", "torn at"),
        ("empty", "torn, or not safetensors"),
        ("pickled", "There are no safetensors in"),
        ("tokenizer", "the token 'h' has number 9"),
    ],
)
def test_models_that_do_not_fit_are_refused_and_leave_nothing(base: Path, tmp_path: Path, how: str, said: str) -> None:
    bad = damage(base, tmp_path / "bad", how)
    with pytest.raises(ConfigError, match=said):
        write_merge(average_models([str(base), str(bad)]), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_configurations_that_mean_the_same_are_the_same(base: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "terse")
    file = tmp_path / "terse" / "config.json"
    config = json.loads(file.read_text())
    del config["attention_bias"], config["rms_norm_eps"]
    file.write_text(json.dumps({**config, "transformers_version": "4.40.0", "use_cache": False, "pad_token_id": 3}))
    write_merge(average_models([str(base), str(tmp_path / "terse")]), tmp_path / "out")


def test_whole_numbers_are_copied_where_they_are_the_same_and_refused_else(run: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folders = [tmp_path / name for name in "abc"]
    for folder, last in zip(folders, (7, 7, 8), strict=True):
        shutil.copytree(run, folder)
        tensors = load_file(folder / "model.safetensors")
        numbers = {"steps": torch.tensor([1, last]), "scalar": torch.tensor(2.5), "none": torch.zeros(0)}
        save_file(tensors | numbers, folder / "model.safetensors")
    found = write(average_models([str(folders[0]), str(folders[1])]), tmp_path / "out")
    assert (found["steps"].tolist(), float(found["scalar"]), found["none"].shape) == ([1, 7], 2.5, (0,))
    with pytest.raises(ConfigError, match="whole numbers of 'steps' differ"):
        write_merge(average_models([str(folders[0]), str(folders[2])]), tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize(("layers", "said"), [([2], "layers 0 to 1, and layer 2"), ([], "No layer is named")])
def test_layers_that_are_not_there_are_refused(
    base: Path, run: Path, tmp_path: Path, layers: list[int], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        write_merge(restore_layers(str(base), str(run), layers), tmp_path / "out")


def test_an_output_that_is_taken_is_refused(base: Path, run: Path, tmp_path: Path) -> None:
    mixture, out = average_models([str(base), str(run)]), tmp_path / "out"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="no directory"):
        write_merge(mixture, tmp_path / "file", overwrite=True)
    out.mkdir()
    write_merge(mixture, out)
    with pytest.raises(StoreError, match="give --overwrite"):
        write_merge(mixture, out)
    write_merge(interpolate_models(str(base), str(run), 1.0), out, overwrite=True)
    assert_same(tensors_of(out), tensors_of(run))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="did not write"):
        write_merge(mixture, mine, overwrite=True)
    assert (mine / "letter.txt").read_text() == "dear"
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    for inside in (copy, copy / "deeper", copy.parent):
        with pytest.raises(ConfigError, match="in one another"):
            write_merge(average_models([str(copy), str(run)]), inside, overwrite=True)
    assert_same(tensors_of(copy), tensors_of(run))


def test_what_was_put_aside_comes_back_when_nothing_takes_its_place(
    base: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, hidden = tmp_path / "out", tmp_path / ".out.part"
    write_merge(interpolate_models(str(base), str(run), 1.0), out)
    replace = os.replace

    def refuse_new(source: Path, target: Path) -> None:
        if Path(source).name == "new":
            raise OSError(28, "No space left on device")
        replace(source, target)

    mixture = average_models([str(base), str(run)])
    with monkeypatch.context() as patched:
        patched.setattr("rlkit.weights.directory.os.replace", refuse_new)
        with pytest.raises(StoreError, match="No space left"):
            write_merge(mixture, out, overwrite=True)
    assert_same(tensors_of(out), tensors_of(run))
    # A kill between the two steps leaves it aside; the next merge finds it again, even one that is refused.
    hidden.mkdir()
    out.rename(hidden / "old")
    with pytest.raises(StoreError, match="give --overwrite"):
        write_merge(mixture, out)
    assert_same(tensors_of(out), tensors_of(run))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


KILLED = """
import sys, time
from rlkit.weights import average_models, write_merge

def stop(done, total):
    if done > total // 3:
        print("written", flush=True)
        time.sleep(60)

write_merge(average_models(sys.argv[2:]), sys.argv[1], overwrite=True, progress=stop)
"""


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("stands", [False, True])
def test_a_killed_merge_leaves_what_was_there(base: Path, run: Path, tmp_path: Path, stands: bool) -> None:
    out = tmp_path / "out"
    if stands:
        write_merge(interpolate_models(str(base), str(run), 1.0), out)
    words = [sys.executable, "-c", KILLED, str(out), str(base), str(run)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as merging:
        assert merging.stdout is not None
        assert merging.stdout.readline() == "written\n"
        # Another that would write there is told so.
        with pytest.raises(StoreError, match="being written by another process"):
            write_merge(average_models([str(base), str(run)]), out, overwrite=True)
        merging.send_signal(signal.SIGKILL)
    left = [path for path in tmp_path.rglob("*") if path.name in ("config.json", "adapter_config.json")]
    assert [path.parent for path in left] == ([out] if stands else [])
    if stands:
        assert_same(tensors_of(out), tensors_of(run))
    write_merge(average_models([str(base), str(run)]), out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_are_written_as_the_library_writes_them(run: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    write_merge(average_models([str(run), str(run)]), tmp_path / "out")
    ours, theirs = tmp_path / "out" / "model.safetensors", run / "model.safetensors"
    with safe_open(ours, "pt") as one, safe_open(theirs, "pt") as other:
        assert one.metadata() == other.metadata() == {"format": "pt"}
        assert one.offset_keys() == other.offset_keys()
    with TensorFiles(run) as files:
        for name, each in tensors_of(run).items():
            assert torch.equal(files.read(name).reshape(each.shape), each)
            assert torch.equal(files.read(name, 3, 5), each.flatten()[3:8])


def test_progress_ends_with_all_bytes(base: Path, sharded: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    merged = write_merge(
        average_models([str(sharded), str(base)]), tmp_path / "out", progress=lambda *each: seen.append(each)
    )
    assert seen == sorted(seen)
    assert seen[-1] == (merged.num_bytes, merged.num_bytes)


def test_models_of_other_architectures_are_refused_by_a_tensor(tmp_path: Path, base: Path) -> None:
    with pytest.raises(ConfigError, match=r"has a tensor 'lm_head\.weight' and countdown-tiny none"):
        write_merge(average_models([str(base), "countdown-tiny"]), tmp_path / "out")
    # Only the length of the context differs, which no tensor shows.
    longer = build_tiny_model(tmp_path / "longer", context=64)
    with pytest.raises(ConfigError, match="max_position_embeddings, 48 and 64"):
        write_merge(average_models([str(base), str(longer)]), tmp_path / "out")
