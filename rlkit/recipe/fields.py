"""Judge plain values by a dataclass: its field names say which keys exist, its annotations what each takes.

`learning_rate: fast` is refused here in words, instead of inside the third library that receives it.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from rlkit.errors import ConfigError, suggest

_NO = object()
"""Returned by `_fit` for a value that does not fit; None is a value like any other."""

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping",
    list: "a list",
    types.NoneType: "null",
}


def check_fields(
    values: Mapping[str, Any], owner: type, section: str, instead: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the values, numbers converted to the kind each field wants, after checking names and kinds.

    Args:
        values: what the recipe says in this section.
        owner: the dataclass that the values will be handed to.
        section: the section's name in the recipe, for messages.
        instead: what a field takes, by field name, where its annotation is wider or narrower than the truth.

    Raises:
        ConfigError: a name that is no field of `owner`, or a value of the wrong kind.
    """
    hints = {**typing.get_type_hints(owner), **(instead or {})}
    allowed = {field.name for field in dataclasses.fields(owner) if field.init}
    checked = {}
    for key, value in values.items():
        if key not in allowed:
            raise ConfigError(f"{section} has no setting {key!r}.{_nearest(str(key), allowed)}")
        checked[key] = check_value(value, hints[key], f"{section}.{key}")
    return checked


def check_value(value: Any, hint: Any, place: str, takes: str | None = None) -> Any:
    """Return the value as the annotation `hint` wants it; raises ConfigError, naming `place`, when it does not fit."""
    fitted = _fit(value, hint)
    if fitted is _NO and isinstance(value, str) and (choices := _choices(hint)):
        raise ConfigError(f"{place} was given as {value!r}.{suggest(value, choices)}")
    if fitted is _NO:
        kind = _WORDS.get(type(value), type(value).__name__)
        given = f"{value!r}" if isinstance(value, bool) or value is None else f"{value!r}, which is {kind}"
        raise ConfigError(f"{place} was given as {given}; it takes {takes or describe(hint)}.")
    return fitted


def _nearest(key: str, allowed: Iterable[str]) -> str:
    # A list of 200 allowed names is no help: without a near one, say where they are described.
    hint = suggest(key, allowed)
    return hint if hint.startswith(" Did you mean") else ""


def _choices(hint: Any) -> list[str]:
    """Return the words a closed annotation allows; none for one that takes free text."""
    words = [arm for arm in _arms(hint) if typing.get_origin(arm) is typing.Literal or _is_enum(arm)]
    values = [typing.get_args(arm) or [member.value for member in arm] for arm in words]
    return [value for several in values for value in several if isinstance(value, str)]


def _arms(hint: Any) -> tuple[Any, ...]:
    """Return what a union is made of; an enum beside `str` names all the words that will be accepted, so `str` goes."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return (hint,)
    arms = typing.get_args(hint)
    return tuple(arm for arm in arms if arm is not str) if any(map(_is_enum, arms)) else arms


def _is_enum(hint: Any) -> TypeGuard[type[enum.Enum]]:
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def _fit(value: Any, hint: Any) -> Any:
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        # An exact fit goes before a converted one: in `float | int` a 3 stays a whole number.
        fits = [fitted for arm in _arms(hint) if (fitted := _fit(value, arm)) is not _NO]
        return next((fitted for fitted in fits if type(fitted) is type(value)), fits[0] if fits else _NO)
    if origin is typing.Literal:
        return value if value in arms else _NO
    if origin in (list, tuple, set):
        return _fit_items(value, origin, arms)
    if origin is dict or hint is dict:
        return value if isinstance(value, Mapping) else _NO
    return _fit_plain(value, hint)


def _fit_items(value: Any, origin: Any, arms: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        return _NO
    items = [_fit(item, arms[0]) for item in value]
    return _NO if any(item is _NO for item in items) else origin(items)


def _fit_plain(value: Any, hint: Any) -> Any:
    if hint is None or hint is types.NoneType:
        return value if value is None else _NO
    if not isinstance(hint, type):
        return value
    if _is_enum(hint):
        # A list, not a set: a recipe may say what cannot be hashed.
        return value if isinstance(value, hint) or value in [member.value for member in hint] else _NO
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        # A whole number of hundreds of digits is more than any float.
        return float(value) if abs(value) < 2**1023 else _NO
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) and hint is not bool:
        return _NO
    return value if isinstance(value, hint) else _NO


def describe(hint: Any) -> str:
    """Return an annotation in words, e.g. `a whole number or null`."""
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(describe(arm) for arm in _arms(hint))
        return " or ".join(words)
    if origin is typing.Literal:
        return " or ".join(repr(arm) for arm in arms)
    if origin in (list, tuple, set) and arms:
        return f"a list, each {describe(arms[0])}"
    if _is_enum(hint):
        return " or ".join(str(member.value) for member in hint)
    return _WORDS.get(origin or hint, getattr(hint, "__name__", str(hint)))
