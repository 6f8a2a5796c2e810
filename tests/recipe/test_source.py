"""Finding recipes, what they inherit, and what `--set` changes."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError
from rlkit.recipe.source import find_recipe, read_mapping, shipped_launch_files, shipped_recipes


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_shipped_recipes_are_found_by_name_with_or_without_the_ending():
    assert find_recipe("countdown/grpo") == find_recipe("countdown/grpo.yaml") == shipped_recipes()["countdown/grpo"]


def test_only_what_can_be_trained_is_a_shipped_recipe():
    names = set(shipped_recipes())
    assert {"countdown/grpo", "countdown/darling", "countdown/w_reinforce_kl"} <= names
    assert not {name for name in names if name.startswith(("accelerate/", "slurm/", "base_model/"))}
    assert "countdown/base" not in names


def test_launch_files_cover_one_machine_with_and_without_gpus():
    wanted = {"cpu", "cpu_zero2", "cpu_zero3", "gpu_ddp", "zero2", "zero3"}
    assert {f"accelerate/{name}.yaml" for name in wanted} | {"slurm/train.sbatch"} <= set(shipped_launch_files())


def test_a_file_wins_over_a_shipped_recipe_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "countdown/grpo", "model: mine")
    assert read_mapping("countdown/grpo") == {"model": "mine"}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("countdown/grop", "Did you mean 'countdown/grpo'"),
        ("nowhere.yaml", "no such file"),
        (".", "is a directory"),
        ("~nobody-of-that-name/mine.yaml", "no such file"),
        ("a/" + "x" * 5000, "no such file"),
        ("zzzzz", "and [0-9]+ more; rlkit recipes list lists all"),
    ],
)
def test_what_is_not_there_is_said(reference, said):
    with pytest.raises(ConfigError, match=said):
        find_recipe(reference)


def test_train_is_inherited_key_by_key_and_everything_else_as_a_whole(tmp_path):
    write(
        tmp_path, "base.yaml", "task: {name: a, size: 3}\ntrain: {x: 1, y: 2}\nadvantage: {name: darling, floor: 0.1}"
    )
    child = write(tmp_path, "arms/child.yaml", "extends: ../base.yaml\ntask: {name: b}\ntrain: {y: 3}")
    assert read_mapping(str(child)) == {
        "task": {"name": "b"},
        "train": {"x": 1, "y": 3},
        "advantage": {"name": "darling", "floor": 0.1},
    }


def test_a_shipped_recipe_is_extended_by_name_unless_a_file_beside_is_called_so(tmp_path):
    child = write(tmp_path, "mine.yaml", "extends: countdown/darling\noutput: mine\ntrain: {seed: 7}")
    shipped = read_mapping("countdown/darling")
    assert read_mapping(str(child)) == {**shipped, "output": "mine", "train": {**shipped["train"], "seed": 7}}
    child.write_text("extends: countdown/darling.yaml")
    assert read_mapping(str(child)) == shipped
    write(tmp_path, "countdown/darling.yaml", "model: beside")
    assert read_mapping(str(child)) == {"model": "beside"}


def test_inheritance_goes_through_several_files_but_not_in_a_circle(tmp_path):
    write(tmp_path, "a.yaml", "train: {x: 1}")
    write(tmp_path, "b.yaml", "extends: a.yaml\ntrain: {y: 2}")
    last = write(tmp_path, "c.yaml", "extends: b.yaml\ntrain: {x: 3}")
    assert read_mapping(str(last)) == {"train": {"x": 3, "y": 2}}
    write(tmp_path, "a.yaml", "extends: c.yaml")
    with pytest.raises(ConfigError, match="extends itself"):
        read_mapping(str(last))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("extends: gone.yaml", "there is no such file"),
        ("extends: countdown/darlin", "Did you mean 'countdown/darling'"),
        (f"extends: {'x' * 5000}", "there is no such file"),
        ("extends: [a]", "write one recipe, a path"),
        ("", "holds no settings"),
        ("- a", "holds no settings"),
    ],
)
def test_files_that_are_no_recipes_are_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_mapping(str(write(tmp_path, "mine.yaml", text)))


def test_a_binary_file_is_refused_in_words(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_mapping(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.x=1e-4", {"task": "t", "train": {"x": 1e-4, "y": [1]}}),
        ("train.new=[1, 2]", {"task": "t", "train": {"x": 1, "y": [1], "new": [1, 2]}}),
        ("task.size=3", {"task": {"name": "t", "size": 3}, "train": {"x": 1, "y": [1]}}),
        ("output=runs/a=b", {"task": "t", "train": {"x": 1, "y": [1]}, "output": "runs/a=b"}),
        ("peft.r=8", {"task": "t", "train": {"x": 1, "y": [1]}, "peft": {"r": 8}}),
        ("train.x=", {"task": "t", "train": {"x": None, "y": [1]}}),
    ],
)
def test_set_changes_one_setting(tmp_path, override, expected):
    path = write(tmp_path, "mine.yaml", "task: t\ntrain: {x: 1, y: [1]}")
    assert read_mapping(str(path), [override]) == expected


def test_later_overrides_win(tmp_path):
    path = write(tmp_path, "mine.yaml", "train: {x: 1}")
    assert read_mapping(str(path), ["train.x=2", "train.x=3"]) == {"train": {"x": 3}}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.x", "not of the form"),
        ("=3", "not of the form"),
        ("a..b=3", "not of the form"),
        ("train.y.z=3", "reaches into"),
    ],
)
def test_overrides_that_cannot_be_applied_are_refused(tmp_path, override, said):
    path = write(tmp_path, "mine.yaml", "train: {x: 1, y: [1]}")
    with pytest.raises(ConfigError, match=said):
        read_mapping(str(path), [override])


def test_files_are_seen_from_the_recipe_where_they_exist_there(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    for name in ("data.jsonl", "reward.py", "countdown"):
        (folder / name).touch()
    (folder / "r.yaml").write_text(
        "extends: countdown/base\ntask: {name: jsonl, path: data.jsonl}\n"
        "rewards: [reward.py:pay, gone.py:pay, countdown, {name: 'reward.py:fine', n: 1}]\noutput: countdown"
    )
    monkeypatch.chdir(tmp_path / "elsewhere")
    values = read_mapping("../mine/r.yaml")
    assert values["task"]["path"] == str(folder / "data.jsonl")
    # A name without an ending is a name, also where a file is called so; what is not there is left as it is.
    there = str(folder / "reward.py")
    assert values["rewards"] == [f"{there}:pay", "gone.py:pay", "countdown", {"name": f"{there}:fine", "n": 1}]
    assert values["output"] == "countdown"
    assert values["train"]["max_steps"] == 60
    monkeypatch.chdir(folder)
    assert read_mapping("r.yaml")["task"]["path"] == "data.jsonl"
