"""Keys of older recipes still work, and say what they are called now."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError
from rlkit.recipe import build_recipe
from rlkit.recipe.renamed import RENAMED, rename_older_keys

BASE = {"model": "countdown-tiny", "task": "countdown", "output": "o"}


@pytest.mark.parametrize(("older", "newer"), RENAMED.items())
def test_an_older_key_is_read_as_what_it_became_with_one_line(older, newer, capfd):
    section, _, key = older.rpartition(".")
    values = {section: {"seed": 0, key: 7}} if section else {key: 7}
    renamed = rename_older_keys({**BASE, **values})
    home = renamed[section] if section else renamed
    assert home[newer.rpartition(".")[2]] == 7
    assert key not in home
    assert capfd.readouterr().err == f"The recipe key {older} is now {newer}; it is read as that.\n"
    assert {key: renamed[key] for key in BASE} == BASE


def test_recipes_of_today_are_read_in_silence(capfd):
    recipe = build_recipe({**BASE, "train": {"max_tokens_per_microbatch": 64}})
    assert recipe.train == {"max_tokens_per_microbatch": 64}
    assert capfd.readouterr().err == ""


def test_an_older_recipe_is_the_same_recipe():
    assert build_recipe({**BASE, "train": {"tokens_per_pass": 64}}) == build_recipe(
        {**BASE, "train": {"max_tokens_per_microbatch": 64}}
    )


def test_both_names_at_once_are_refused():
    with pytest.raises(ConfigError, match=r"both train.tokens_per_pass and .* keep train.max_tokens_per_microbatch"):
        build_recipe({**BASE, "train": {"tokens_per_pass": 64, "max_tokens_per_microbatch": 64}})
