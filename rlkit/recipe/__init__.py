"""Recipes: one YAML file says everything about a run; strict keys, inheritance, overrides, no model needed to check."""

from __future__ import annotations

from rlkit.recipe.kinds import RunRecipe, build_recipe, load_recipe
from rlkit.recipe.schema import Recipe, differences
from rlkit.recipe.source import find_recipe, shipped_launch_files, shipped_recipes

__all__ = [
    "Recipe",
    "RunRecipe",
    "build_recipe",
    "differences",
    "find_recipe",
    "load_recipe",
    "shipped_launch_files",
    "shipped_recipes",
]
