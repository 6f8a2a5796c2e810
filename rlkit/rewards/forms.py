"""Three forms of reward, one contract; and what a function's marks and signature say of it.

- Batch (TRL's own): `f(completions, *, prompts, **columns) -> list[float | None]`, any rows in any number.
- `@reward`: `f(completion, **columns) -> float | None`, one completion at a time.
- `@group_reward`: `f(completions, *, prompt, **columns) -> list[float | None]`, always all completions of one prompt,
  however ranks split the batch.

`None` means *not scored* and is never turned into 0. A function asks for data columns by naming them as parameters;
with `**columns` it gets all of them. In the per-completion and group forms the column of a row is its single value.
Each form may be `async def`. Parameters with a default, or after `*`, can be given in a recipe: see `bound_reward.py`.

A trainer also gives what is in `TRAINER_COLUMNS` to a function that names it; a data column of the same name goes
first. A group reward gets a list of its group's values, a per-completion one its own. A group reward may return a
mapping instead of a list: `{"values": [...], "labels": [class of each completion], "metrics": {name: number}}`, the
last two as it likes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Literal

Form = Literal["batch", "completion", "group"]
ROLES = ("base", "modifier", "penalty")

TRAINER_COLUMNS = {
    "base_rewards": "weighted sum of the bases so far; a modifier's is the value that it replaces",
    "completion_ids": "tokens of the completion",
    "lengths": "tokens in the completion",
    "truncated": "whether the completion was cut at the limit",
    "mean_logps": "mean log-prob of the completion's tokens under the policy that drew them",
    "step": "optimizer steps done",
}
"""What a reward can ask for by name beside data columns, and what it is."""

TRL_OBJECTS = ("environments", "log_extra", "log_metric", "trainer_state")
"""What TRL hands over that lives in the trainer's process: batch rewards on its thread get it, others by its name."""


def form_of(function: Any) -> Form:
    """Return the form in which a reward is written."""
    form: Form = mark_of(function, "reward_form", "batch")
    return form


def mark_of(function: Any, mark: str, otherwise: Any) -> Any:
    """Return what a decorator wrote on a function, also where `functools.partial` was put around it."""
    while isinstance(function, functools.partial) and not hasattr(function, mark):
        function = function.func
    return getattr(function, mark, otherwise)


def is_group_reward(function: Any) -> bool:
    """Return whether a reward was marked by `group_reward`."""
    return form_of(function) == "group"


def is_async(function: Any) -> bool:
    """Return whether calling a reward gives a coroutine."""
    function = _inner(function)
    call = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(call)


def name_of(function: Any) -> str:
    """Return how messages call a reward; a `functools.partial` is called like the function in it."""
    return str(mark_of(function, "__name__", type(_inner(function)).__name__))


def wanted_columns(function: Callable[..., Any], available: Iterable[str]) -> list[str]:
    """Return the columns that a reward asks for: those it names, or all with `**columns`, less set parameters."""
    bound = function.keywords if isinstance(function, functools.partial) else {}
    parameters = inspect.signature(function).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return [key for key in available if key not in bound and (takes_all or key in parameters)]


def asks_for(function: Callable[..., Any], column: str) -> bool:
    """Return whether a reward asks for one of `TRAINER_COLUMNS`; `**columns` does not.

    A marked reward does by naming it. In TRL's own form a parameter with a default other than None is the author's,
    whatever it is called, because TRL has no such columns: `step=0.1` keeps its value.
    """
    parameter = inspect.signature(function).parameters.get(column)
    if parameter is None or (isinstance(function, functools.partial) and column in function.keywords):
        return False
    return form_of(function) != "batch" or parameter.default is None or parameter.default is parameter.empty


def _inner(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function
