"""Recipes with one thing wrong: every one is refused by a typed error or accepted, and none ends in a traceback."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from rlkit.errors import RlkitError
from rlkit.recipe import shipped_recipes
from rlkit.recipe.plan import Plan
from rlkit.recipe.schema import build_rl_recipe
from rlkit.recipe.source import read_mapping

NAMELESS, NESTED = {"name": []}, [{"name": "zzz"}]
STRANGE: list[Any] = [
    *(None, True, -1, 0, 1.5, float("nan"), 10**400, "", "zzz", [], [[]], {}),
    NESTED,
    NAMELESS,
    {1: 2},
]


def places_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where the values of a recipe lie, however deep."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places_of(part, (*path, key))


def mutants_of(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a recipe with one value replaced, or one key misspelt, and what was done."""
    values = read_mapping(name)
    for number, (*outer, last) in enumerate(places_of(values)):
        # Every place gets four of the strange values, and all of them meet every kind of place.
        for turn in range(4):
            mutant = copy.deepcopy(values)
            holder: Any = mutant
            for key in outer:
                holder = holder[key]
            strange = STRANGE[(number * 4 + turn) % len(STRANGE)]
            holder[last] = strange
            yield f"{name}: {[*outer, last]} = {strange!r}", mutant
        if isinstance(last, str):
            holder[last + "x"] = holder.pop(last)
            yield f"{name}: {[*outer, last]} misspelt", mutant


RECIPES = [f"countdown/{name}" for name in ("darling", "dqo", "anchor_ema", "dph_js", "steer", "ttrl")]


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("name", RECIPES)
def test_no_mutant_ends_in_a_traceback(name: str) -> None:
    from rlkit.trainers.settings import check_run

    assert name in shipped_recipes()
    count, escaped = 0, []
    for done, mutant in mutants_of(name):
        count += 1
        try:
            recipe = build_rl_recipe(mutant)
            check_run(recipe, Plan.from_recipe(recipe))
        except RlkitError:
            pass
        except Exception as error:
            escaped.append(f"{done[:150]} ends in {error!r}")
    assert not escaped, "\n".join(escaped)
    assert count > 80
