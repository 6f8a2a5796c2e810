"""Which kind a recipe is: old recipes stay RL runs, and every kind has both halves of its row."""

from __future__ import annotations

import pytest

from rlkit.cli.kinds import KINDS
from rlkit.errors import ConfigError
from rlkit.recipe import Recipe, RunRecipe, build_recipe, load_recipe
from rlkit.recipe.kinds import BUILDERS

SMALL = {"model": "m", "task": "t", "output": "o"}


def test_a_recipe_that_names_no_kind_is_an_rl_run_and_is_saved_as_before():
    recipe = build_recipe(SMALL)
    assert isinstance(recipe, Recipe)
    assert recipe == build_recipe({"kind": "rl", **SMALL})
    assert "kind" not in recipe.to_mapping()


def test_every_kind_is_read_checked_and_run_by_one_row_each():
    assert BUILDERS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", ["rll", None, 3, ["rl"], {"rl": 1}])
def test_an_unknown_kind_is_refused_with_the_known_ones(kind):
    with pytest.raises(ConfigError, match="kind was given as"):
        build_recipe({**SMALL, "kind": kind})


def test_the_kind_can_be_set_and_inherited(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("kind: rl\nextends: countdown/grpo\noutput: elsewhere\n")
    recipe: RunRecipe = load_recipe(str(path), ["kind=rl"])
    assert (recipe.kind, recipe.output) == ("rl", "elsewhere")
