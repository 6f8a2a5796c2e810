"""Three forms of reward, one contract.

- Batch (TRL's own): `f(completions, *, prompts, **columns) -> list[float | None]`, any rows in any number.
- `@reward`: `f(completion, **columns) -> float | None`, one completion at a time.
- `@group_reward`: `f(completions, *, prompt, **columns) -> list[float | None]`, always all completions of one prompt,
  however ranks split the batch.

`None` means *not scored* and is never turned into 0. A function asks for data columns by naming them as parameters;
with `**columns` it gets all of them. In the per-completion and group forms the column of a row is its single value.
Each form may be `async def`. Parameters with a default, or after `*`, can be given in a recipe: see `binding.py`.

A trainer also gives what is in `FACTS` to a function that names it; a data column of the same name goes first. A group
reward gets a list of its group's values, a per-completion one its own. A group reward may return a mapping instead of a
list: `{"values": [...], "labels": [class of each completion], "metrics": {name: number}}`, the last two as it likes.

Called as they were written, decorated functions are what they were. Called in TRL's way, with `prompts=` and
`completions=`, they are batch rewards, so that a plain `trl.GRPOTrainer` can be given them; a group is then the rows of
one prompt that follow each other.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from rlkit.errors import ConfigError
from rlkit.parameters import check_choice
from rlkit.plugins import PluginKind
from rlkit.rewards.settings import check_names, merge_settings
from rlkit.shipped import shipped_plugins

Function = TypeVar("Function", bound=Callable[..., Any])

REWARDS = PluginKind("reward", "rlkit.rewards", shipped_plugins("rewards"))
ROLES = ("base", "modifier", "penalty")

FACTS = {
    "base_rewards": "weighted sum of the bases so far; a modifier's is the value that it replaces",
    "completion_ids": "tokens of the completion",
    "lengths": "tokens in the completion",
    "truncated": "whether the completion was cut at the limit",
    "mean_logps": "mean log-prob of the completion's tokens under the policy that drew them",
    "step": "optimizer steps done",
}
"""What a reward can ask for by name beside data columns, and what it is."""


@overload
def reward(function: Function, /) -> Function: ...
@overload
def reward(*, role: str = "base", **run: Any) -> Callable[[Function], Function]: ...
def reward(function: Any = None, /, *, role: str = "base", **run: Any) -> Any:
    """Mark `f(completion, **columns) -> float | None` as a reward that judges one completion at a time.

    Bare, `@reward`, or with how it is meant to be run, `@reward(isolation="process", deadline_s=5)`.

    Args:
        function: the function, which stays callable as it was written.
        role: `base`, what is learnt; `modifier`, what shapes it; `penalty`, what is taken off.
        run: fields of `RunSettings`; a recipe's `run` overrules them.

    Raises:
        ConfigError: no such setting or role.
    """
    return _mark(function, "completion", role, run)


@overload
def group_reward(function: Function, /) -> Function: ...
@overload
def group_reward(*, role: str = "base", **run: Any) -> Callable[[Function], Function]: ...
def group_reward(function: Any = None, /, *, role: str = "base", **run: Any) -> Any:
    """Mark `f(completions, *, prompt, **columns) -> list[float | None]` as a reward that needs a whole group.

    Takes what `reward` takes.
    """
    return _mark(function, "group", role, run)


def _mark(function: Any, form: str, role: str, run: dict[str, Any]) -> Any:
    if function is None:
        return functools.partial(_mark, form=form, role=role, run=run)
    if not callable(function):
        raise ConfigError(f"A reward's decorator was given {function!r}; write its settings as name=value.")
    check_choice("A reward", "role", role, ROLES)
    merge_settings({}, check_names(run), is_async(function))
    if inspect.isfunction(function):
        function = _answer_trl(function)
    function.reward_form, function.reward_role, function.reward_run = form, role, run
    return function


def _answer_trl(function: Any) -> Any:
    """Return the function, which also answers a call with TRL's keywords."""
    from rlkit.rewards.trl_form import score_batch

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        return score_batch(call, **given) if not args and _is_trls(given) else function(*args, **given)

    @functools.wraps(function)
    async def await_call(*args: Any, **given: Any) -> Any:
        return await (score_batch(await_call, **given) if not args and _is_trls(given) else function(*args, **given))

    return await_call if inspect.iscoroutinefunction(function) else call


def _is_trls(given: Mapping[str, Any]) -> bool:
    return "prompts" in given and "completions" in given


def is_async(function: Any) -> bool:
    """Return whether calling a reward gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    call = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(call)


def is_group_reward(function: Any) -> bool:
    """Return whether a reward was marked by `group_reward`."""
    return getattr(function, "reward_form", "batch") == "group"


def wanted_columns(function: Callable[..., Any], available: Sequence[str]) -> list[str]:
    """Return the columns that a reward asks for: those it names, or all with `**columns`, less set parameters."""
    bound = function.keywords if isinstance(function, functools.partial) else {}
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = [parameter.name for parameter in parameters]
    return [key for key in available if key not in bound and (takes_all or key in named)]


def value_of(column: Any, index: int) -> Any:
    """Return a row's value of a column; what is no list is the same for all rows."""
    return column[index] if isinstance(column, list | tuple) else column


def name_of(function: Any) -> str:
    """Return how messages call a reward."""
    return getattr(function, "__name__", type(function).__name__)
