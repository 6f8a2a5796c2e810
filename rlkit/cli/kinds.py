"""How a recipe of each kind is checked and run; `recipe/kinds.py` says how it is read.

`rlkit train` and `rlkit recipes validate` ask here, so that a further kind is one more row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlkit.recipe import Recipe
    from rlkit.recipe.rounds import RoundsRecipe
    from rlkit.recipe.sft import SftRecipe


@dataclass(frozen=True)
class Kind:
    """What the commands do with a recipe of one kind; nothing heavy is imported before one of these is called."""

    check: Callable[[Any], str | None]
    """Check all of a recipe that can be known without its model's weights; returns what could not be tried."""
    run: Callable[[Any, bool], Any]
    """Run a recipe, deleting an earlier run first where the flag says so; returns a `RunOutcome`."""


def check(recipe: Any) -> str | None:
    """Check everything about a recipe that can be known without loading its model's weights; data are read.

    Returns:
        What could not be tried here, if anything.

    Raises:
        RlkitError: naming the first thing that is wrong.
    """
    return KINDS[recipe.kind].check(recipe)


def run(recipe: Any, overwrite: bool = False) -> Any:
    """Run a recipe, or go on where its output directory stopped; returns a `RunOutcome`, raises RlkitError."""
    return KINDS[recipe.kind].run(recipe, overwrite)


def _check_rl(recipe: Recipe) -> str | None:
    from rlkit.recipe.plan import Plan

    plan = Plan.from_recipe(recipe)
    from rlkit.trainers.stack import quiet_libraries

    quiet_libraries()
    from rlkit.trainers.settings import check_run
    from rlkit.trainers.trial import try_run

    return try_run(check_run(recipe, plan))


def _run_rl(recipe: Recipe, overwrite: bool) -> Any:
    from rlkit.trainers.run import train

    return train(recipe, overwrite=overwrite)


def _check_sft(recipe: SftRecipe) -> str | None:
    from rlkit.trainers.sft.run import try_sft

    return try_sft(recipe)


def _run_sft(recipe: SftRecipe, overwrite: bool) -> Any:
    from rlkit.trainers.sft.run import train_sft

    return train_sft(recipe, overwrite=overwrite)


def _check_rounds(recipe: RoundsRecipe) -> str | None:
    from rlkit.rounds.run import check_rounds

    return check_rounds(recipe)


def _run_rounds(recipe: RoundsRecipe, overwrite: bool) -> Any:
    from rlkit.rounds.run import run_rounds

    return run_rounds(recipe, overwrite=overwrite)


KINDS = {
    "rl": Kind(_check_rl, _run_rl),
    "sft": Kind(_check_sft, _run_sft),
    "rounds": Kind(_check_rounds, _run_rounds),
}
"""One row a kind; `recipe/kinds.py` has the same keys."""
