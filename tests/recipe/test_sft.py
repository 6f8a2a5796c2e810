"""What a recipe of kind sft may say at its top level."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rlkit.errors import ConfigError
from rlkit.recipe import build_recipe, differences
from rlkit.recipe.sft import SftRecipe
from rlkit.recipe.yaml_text import format_yaml, parse_yaml

SMALL = {"kind": "sft", "model": "m", "data": "rows.jsonl", "output": "o"}


def test_it_is_saved_with_its_kind_and_read_back_unchanged():
    recipe = build_recipe({**SMALL, "negatives": {"weight": 2, "data": "wrong.jsonl"}, "hold_out": 0.1, "train": None})
    assert isinstance(recipe, SftRecipe)
    assert next(iter(recipe.to_mapping())) == "kind"
    assert build_recipe(parse_yaml(format_yaml(recipe.to_mapping()), "saved")) == recipe
    assert recipe.build_negatives().weight == 2


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"task": "countdown"}, "A recipe of kind sft has no key 'task'"),
        ({"learning_rate": 1}, "settings go under train"),
        ({"data": None}, "names no data"),
        ({"data": 3}, "data was given as 3"),
        ({"hold_out": 1.5}, "hold_out=1.5"),
        ({"hold_out": "some"}, "a share between 0 and 1"),
        ({"negatives": {"wait": 1}}, "negatives has no setting 'wait'. Did you mean 'weight'"),
        ({"negatives": {"weight": -1}}, "negatives was given weight=-1"),
        ({"negatives": {"rows_per_step": "many"}}, "negatives.rows_per_step"),
        ({"train": {"output_dir": "x"}}, "write output: there"),
        ({"train": {"evaluate": {}}}, "write evaluate: there"),
    ],
)
def test_what_does_not_belong_is_refused_with_what_does(extra, said):
    with pytest.raises(ConfigError, match=said):
        build_recipe({**SMALL, **extra})


def test_the_recipe_of_the_page_is_one():
    page = (Path(__file__).parents[2] / "docs" / "sft.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert build_recipe(parse_yaml(text, "docs/sft.md")).build_negatives().rows_per_step == 128


def test_kinds_differ_in_their_kind():
    rl = build_recipe({"model": "m", "task": "t", "output": "o"})
    assert "kind is 'sft' there, not set here" in differences(rl, build_recipe(SMALL))
