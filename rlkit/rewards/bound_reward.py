"""A reward as a recipe names it, bound to its parameters and to how it is run.

    rewards:
      - countdown
      - {name: rewards/lengths.py:overlong, max_length: 512}
      - {name: math_verify, strict: true, run: {isolation: process, deadline_s: 5}}

`run` holds fields of `RunSettings`, and `role: modifier` where the recipe disagrees with the author. Parameters go to
a class, a factory, or to a function's keywords: those after `*` and those with a default. All is checked against the
signature before a model is loaded.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError, PluginError, suggest
from rlkit.parameters import check_choice, show
from rlkit.plugins import PluginKind, describe, find, load_file, resolve
from rlkit.rewards.forms import ROLES, TRAINER_COLUMNS, TRL_OBJECTS, Form, asks_for, form_of, is_async, mark_of, name_of
from rlkit.rewards.run_settings import RunSettings, check_names, merge_settings
from rlkit.shipped import shipped_plugins

REWARDS = PluginKind("reward", "rlkit.rewards", shipped_plugins("rewards"))

_GIVEN = {"completion", "completions", "prompt", "prompts", *TRL_OBJECTS, *TRAINER_COLUMNS}
"""What every reward may be handed; no recipe sets them."""


@dataclass(frozen=True)
class BoundReward:
    """One reward of a run.

    Raises:
        ConfigError: a role that does not exist.
    """

    name: str
    function: Any
    role: str = "base"
    """`base`, `modifier` or `penalty`."""
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        """Check the role."""
        check_choice(f"The reward {self.name}", "role", self.role, ROLES)

    @property
    def form(self) -> Form:
        """`batch`, `completion` or `group`; see `forms.py`."""
        return form_of(self.function)

    @property
    def is_async(self) -> bool:
        """Whether it is called in an event loop."""
        return is_async(self.function)

    @property
    def limit_s(self) -> float:
        """Seconds that a call may take; no end for an async function in TRL's form that nobody gave a deadline."""
        is_trls = self.form == "batch" and self.run.isolation == "async" and self.run.deadline_s is None
        return math.inf if is_trls else self.run.limit_s

    @property
    def takes_whole_batches(self) -> bool:
        """Whether it gets a batch as TRL hands it over, in one call."""
        return self.form == "batch" and not self.run.cache and self.run.isolation != "process"

    def asks_for(self, column: str) -> bool:
        """Return whether it names one of `TRAINER_COLUMNS`."""
        return asks_for(self.function, column)


def bind_reward(spec: Any) -> BoundReward:
    """Return the reward that a recipe's `rewards:` names, with how it is run.

    Args:
        spec: as for `resolve_reward`; also what `resolve_reward` returned.

    Raises:
        PluginError: no such reward or parameter, it cannot be imported, or it is not a function.
        ConfigError: `run` does not fit.
    """
    function = resolve_reward(spec)
    author, recipe = mark_of(function, "reward_run", {}), dict(mark_of(function, "recipe_run", {}))
    role = recipe.pop("role", mark_of(function, "reward_role", "base"))
    try:
        run = merge_settings(author, recipe, is_async(function))
    except ConfigError as error:
        raise ConfigError(f"The reward {name_of(function)}: {error}") from error
    return BoundReward(name_of(function), function, role, run)


def resolve_reward(spec: Any) -> Any:
    """Return the reward that a recipe's `rewards:` names, in the form in which it was written.

    Args:
        spec: `"name"`, `"file.py:name"`, `{"name": ..., **parameters, "run": {...}}`, or the function itself. A
            function with parameters or `run` comes back as a `functools.partial` that carries its marks.

    Raises:
        PluginError: no such reward or parameter, it cannot be imported, or it is not a function.
        ConfigError: `run` has no such setting.
    """
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        return _check_callable(resolve(spec, REWARDS), spec)
    params = {key: value for key, value in spec.items() if key not in ("name", "run")}
    run = _check_run(spec["run"]) if spec.get("run") is not None else {}
    thing = find(spec["name"], REWARDS)
    if inspect.isclass(thing) or getattr(thing, "is_plugin_factory", False):
        function = _check_callable(resolve({"name": spec["name"], **params}, REWARDS), spec)
        params = {}
    else:
        function = _check_callable(thing, spec)
        check_parameters(function, params, spec["name"])
    return _bind(function, params, run) if params or run else function


def _check_run(run: Any) -> dict[str, Any]:
    """Return a recipe's `run`, which says the role as well as the settings."""
    if not isinstance(run, Mapping) or "role" not in run:
        return check_names(run)
    check_choice("run", "role", run["role"], ROLES)
    return {**check_names({key: value for key, value in run.items() if key != "role"}), "role": run["role"]}


def find_reward(file: str) -> str:
    """Return how to name the reward that is meant by a file: its function called like the file, or its only reward.

    Raises:
        ConfigError: which of its functions is meant is not clear.
        PluginError: the file cannot be imported.
    """
    module, stem = load_file(Path(file), "reward"), Path(file).stem
    if callable(getattr(module, stem, None)):
        return f"{file}:{stem}"
    marked = [name for name, thing in vars(module).items() if hasattr(thing, "reward_form")]
    plain = [
        name
        for name, thing in vars(module).items()
        if inspect.isfunction(thing)
        and thing.__module__ == module.__name__
        and "completions" in inspect.signature(thing).parameters
    ]
    found = marked or plain
    if len(found) != 1:
        raise ConfigError(
            f"{file} has {len(found) or 'no'} rewards{' (' + ', '.join(found) + ')' if found else ''}; write {file}:fn."
        )
    return f"{file}:{found[0]}"


def name_rewards(rewards: Sequence[Any]) -> list[str]:
    """Return the name of each reward in messages, metrics and `correct_reward`; the second `f` is `f_2`."""
    names: list[str] = []
    for reward in rewards:
        name, number = name_of(reward), 2
        while name in names:
            name, number = f"{name_of(reward)}_{number}", number + 1
        names.append(name)
    return names


def check_parameters(function: Any, params: Mapping[str, Any], name: str) -> None:
    """Raise PluginError unless each parameter is a keyword of the function that a recipe may set."""
    allowed = settable(function)
    for param in params:
        if param not in allowed:
            hint = suggest(str(param), allowed) or " It takes none."
            raise PluginError(f"The reward {name!r} has no parameter {show(param)}.{hint}")


def settable(function: Any) -> list[str]:
    """Return the names of the parameters that a recipe may set."""
    return [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if not _is_given(function, parameter.name)
        and (
            parameter.kind is parameter.KEYWORD_ONLY
            or (parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is not parameter.empty)
        )
    ]


def _is_given(function: Any, name: str) -> bool:
    if name in TRAINER_COLUMNS and name != "completion_ids":
        return asks_for(function, name)
    return name in _GIVEN


def check_columns(bound: BoundReward, columns: Collection[str]) -> None:
    """Raise ConfigError unless everything that a reward cannot do without is given by data, trainer or recipe."""
    known = {*columns, *_GIVEN}
    parameters = [*inspect.signature(bound.function).parameters.values()]
    if bound.form != "batch":
        parameters = parameters[1:]
    for parameter in parameters:
        is_needed = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if is_needed and parameter.name not in known:
            raise ConfigError(
                f"The reward {bound.name} needs {parameter.name!r}, which the recipe does not set and the task's rows "
                f"do not have; they have {', '.join(sorted(columns))}."
            )


def digest_reward(bound: BoundReward) -> str | None:
    """Return a digest of a reward's source file, name and parameters, or None if they do not say what it does.

    Modules that the file imports are not part of it.
    """
    function: Any = bound.function
    params: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        params, function = {**function.keywords, **params}, function.func
    # The decorator's own wrapper says nothing of what it wraps.
    function = inspect.unwrap(function)
    home = function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
    try:
        source = Path(inspect.getsourcefile(home) or "").read_bytes()
    except (TypeError, OSError):
        return None
    own = None if home is function else function if is_dataclass(function) else getattr(function, "__dict__", None)
    state = json.dumps([bound.form, home.__qualname__, describe(own), describe(params)], sort_keys=True)
    # What has no other text than its address has none that says what it does.
    return None if " at 0x" in state else hashlib.sha256(source + state.encode()).hexdigest()


def _check_callable(function: Any, spec: Any) -> Any:
    if not callable(function):
        raise PluginError(f"The reward {spec!r} is {function!r}, which cannot be called; name a function.")
    try:
        inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"The reward {spec!r} does not tell its parameters; wrap it in a function that names them."
        ) from error
    return function


def _bind(function: Any, params: dict[str, Any], run: dict[str, Any]) -> Any:
    bound: Any = functools.partial(function, **params)
    # TRL asks for it, and has none of its own for a partial.
    bound.__name__ = name_of(function)
    bound.recipe_run = run
    return bound
