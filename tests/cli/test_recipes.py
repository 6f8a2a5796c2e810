"""`rlkit recipes`: list, show, copy, validate."""

from __future__ import annotations

import pytest

from rlkit.cli import main
from rlkit.recipe import load_recipe, shipped_launch_files, shipped_recipes
from tests.trainers.archives import write_archive


def test_list_names_every_recipe_and_launch_file_with_its_purpose(capsys):
    assert main(["recipes", "list"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(rows) == {*shipped_recipes(), *shipped_launch_files()}
    assert rows["countdown/grpo"].startswith("GRPO")
    assert rows["slurm/train.sbatch"].startswith("One recipe")


def test_a_copy_is_whole_and_says_the_same(tmp_path, capsys):
    target = tmp_path / "my recipe.yaml"
    assert main(["recipes", "copy", "countdown/grpo_kl", str(target), "--set", "train.seed=7"]) == 0
    assert "extends" not in target.read_text()
    assert target.read_text().startswith("# GRPO tied to the base model")
    assert load_recipe(str(target)) == load_recipe("countdown/grpo_kl", ["train.seed=7"])
    assert main(["recipes", "show", str(target)]) == 0
    assert target.read_text() in capsys.readouterr().out


def test_a_launch_file_is_copied_as_it_is(tmp_path):
    target = tmp_path / "zero3.yaml"
    assert main(["recipes", "copy", "accelerate/zero3.yaml", str(target)]) == 0
    assert target.read_text() == shipped_launch_files()["accelerate/zero3.yaml"].read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["copy", "countdown/grpo", "{folder}/taken.yaml"], "exists already"),
        (["copy", "countdown/grpo", "{folder}/gone/mine.yaml"], "There is no directory"),
        (["copy", "accelerate/cpu.yaml", "{folder}/cpu.yaml", "--set", "a=1"], "--set cannot change it"),
        (["show", "countdown/grop"], "Did you mean 'countdown/grpo'"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(tmp_path, capsys, words, said):
    (tmp_path / "taken.yaml").write_text("mine")
    assert main(["recipes", *(word.format(folder=tmp_path) for word in words)]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["taken.yaml"]
    assert (tmp_path / "taken.yaml").read_text() == "mine"


def test_validate_goes_on_after_a_bad_recipe_and_names_each(tmp_path, capsys):
    bad, worse = tmp_path / "bad.yaml", tmp_path / "worse.yaml"
    bad.write_text("extends: countdown/grpo\nanchor: kl")
    worse.write_text("extends: countdown/grpo\nadvantage: zzzzz")
    assert main(["recipes", "validate", str(bad), "countdown/grpo", str(worse)]) == 2
    out, err = capsys.readouterr()
    assert out == "countdown/grpo: valid\n"
    first, second = err.strip().splitlines()
    assert first.startswith(f"rlkit: {bad}: ")
    assert "write it under objective:" in first
    assert second.startswith(f"rlkit: {worse}: ")
    assert "more; rlkit explain --list lists all" in second


@pytest.mark.slow
@pytest.mark.side_by_side
def test_every_shipped_recipe_is_valid(capsys, tmp_path):
    with_archive = [name for name in shipped_recipes() if "archive" in name]
    archive = f"archive.from={write_archive(tmp_path / 'archive.jsonl')}"
    assert main(["recipes", "validate", *with_archive, "--set", archive]) == 0
    assert main(["recipes", "validate", *(name for name in shipped_recipes() if name not in with_archive)]) == 0
    tried, untried = "{}: valid\n", "{}: valid, as far as can be told here."
    out = capsys.readouterr().out
    for name in shipped_recipes():
        recipe = load_recipe(name)
        # Rows that only a run will find, and models that lie on a hub.
        is_tried = recipe.kind == "rl" and "/" not in recipe.model
        assert (tried if is_tried else untried).format(name) in out, name
