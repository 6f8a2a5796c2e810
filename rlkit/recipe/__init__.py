"""Recipes: one YAML file says everything about a run; strict keys, inheritance, overrides, and checks before any model loads."""

from __future__ import annotations

from rlkit.recipe.schema import Recipe, build_recipe, differences, load_recipe
from rlkit.recipe.source import find_recipe, shipped_recipes

__all__ = ["Recipe", "build_recipe", "differences", "find_recipe", "load_recipe", "shipped_recipes"]
