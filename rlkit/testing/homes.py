"""Where a reward was written: its function, the file that it is in, and the cases beside it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from rlkit.errors import ConfigError
from rlkit.parameters import show
from rlkit.rewards import BoundReward


def find_cases(bound: BoundReward) -> Sequence[Any] | None:
    """Return `CASES` of the file that a reward is in, None where it has none.

    Raises:
        ConfigError: they are no list.
    """
    cases = getattr(find_home(bound), "CASES", None)
    if cases is not None and not isinstance(cases, list | tuple):
        raise ConfigError(f"CASES beside {bound.name} is {show(cases)}; write a list of (text, score) pairs.")
    return cases


def find_home(bound: BoundReward) -> ModuleType | None:
    """Return the module of a reward: the plug-in file with CASES that holds it, else where its function is written."""
    function = plain_function(bound)
    own = sys.modules.get(function.__module__)
    files = [module for name, module in sys.modules.items() if name.startswith("rlkit_plugin_")]
    for module in [own, *files]:
        held = [inspect.unwrap(thing) for thing in vars(module or object).values() if inspect.isroutine(thing)]
        if function in held and hasattr(module, "CASES"):
            return module
    return own


def plain_function(bound: BoundReward) -> Any:
    """Return a reward's function as its author wrote it, without what a recipe or decorator put around it."""
    function = bound.function
    while hasattr(function, "func"):
        function = function.func
    return inspect.unwrap(function)
