"""From a row of a data set to the prompt that a model gets."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import show
from rlkit.types import Message, Prompt

FORMATS = ("chat", "plain")
_COLUMN = re.compile(r"\{([A-Za-z_]\w*(?:\.\w+)*)\}")


def columns_of(template: str) -> list[str]:
    """Return the columns that a template names; one without `{column}` is itself the name of a column."""
    return _COLUMN.findall(template) or ([] if "{" in template else [template])


def fill_template(template: str, record: Mapping[str, Any], place: str) -> str:
    """Return a template with each `{column}` replaced by the row's value; `\\boxed{}` stays as it is.

    Args:
        template: a text with `{column}`, or the name of one column.
        record: the row.
        place: how messages call the row.

    Raises:
        ConfigError: the row has no such column, nothing in it, or what is no text.
    """
    names = columns_of(template)
    if not names:
        raise ConfigError(f"The prompt {template!r} names no column; write {{column}} where the problem belongs.")
    values = {name: take_text(record, name, place) for name in names}
    return values[template] if template in values else _COLUMN.sub(lambda found: values[found[1]], template)


def take(record: Mapping[str, Any], column: str, place: str) -> Any:
    """Return the value of a column, or of a field inside one, `column.field`; ConfigError when the row has none."""
    value: Any = record
    for name in [column] if column in record else column.split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise ConfigError(f"{place} has no column {column!r}.{suggest(column, record)}")
        value = value[name]
    if value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, list) and not value):
        raise ConfigError(f"{place} has nothing in its column {column!r}; fill it, or leave the row out.")
    return value


def take_text(record: Mapping[str, Any], column: str, place: str) -> str:
    """Return the value of a column as text, which a finite number, true and false have; raises ConfigError for others.

    A text is returned as it stands in the data.
    """
    value = take(record, column, place)
    if not is_plain(value):
        inside = next(iter(value), None) if isinstance(value, Mapping) else None
        field = "" if inside is None else f", or name a field of it, such as {column}.{inside}"
        raise ConfigError(
            f"{place} holds {show(value)} in its column {column!r}, which is no text; write a text or a number{field}."
        )
    return str(value)


def is_plain(value: Any) -> bool:
    """Return whether a value is a text, a finite number, true or false."""
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def take_prompt(record: Mapping[str, Any], template: str, format: str, system: str | None, place: str) -> Prompt:
    """Return the prompt of a row: a filled template, or the messages that its column holds.

    Args:
        record: the row.
        template: a text with `{column}`, or the name of one column.
        format: `chat` or `plain`.
        system: what the system says; it takes the place of a system message in the data.
        place: how messages call the row.

    Raises:
        ConfigError: the row has no such column, nothing in it, or what is neither text nor messages.
    """
    names = columns_of(template)
    messages = take(record, template, place) if names == [template] else None
    if not isinstance(messages, list):
        return build_prompt(fill_template(template, record, place), format, system)
    if not all(_is_message(message) for message in messages):
        raise ConfigError(
            f"{place} holds {show(messages)} in its column {template!r}; write a text, or a list of messages such as "
            "{role: user, content: TEXT}."
        )
    if format == "plain":
        raise ConfigError(f"{place} holds messages in its column {template!r}; write format: chat.")
    kept = messages if system is None else [message for message in messages if message["role"] != "system"]
    return [*_system_messages(system), *kept]


def build_prompt(text: str, format: str, system: str | None) -> Prompt:
    """Return a prompt: for `chat` messages, for `plain` a text that begins with what the system says."""
    if format == "plain":
        return f"{system}\n\n{text}" if system else text
    return [*_system_messages(system), {"role": "user", "content": text}]


def _system_messages(system: str | None) -> list[Message]:
    return [{"role": "system", "content": system}] if system else []


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, Mapping)
        and isinstance(message.get("role"), str)
        and isinstance(message.get("content"), str)
        and bool(message["content"].strip())
    )
