"""From a row of a data set to the prompt that a model gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.types import Prompt

FORMATS = ("chat", "plain")
_COLUMN = re.compile(r"\{([A-Za-z_]\w*)\}")


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
        ConfigError: the row has no such column, or nothing in it.
    """
    names = columns_of(template)
    if not names:
        raise ConfigError(f"The prompt {template!r} names no column; write {{column}} where the problem belongs.")
    values = {name: str(take(record, name, place)) for name in names}
    return values[template] if template in values else _COLUMN.sub(lambda found: values[found[1]], template)


def take(record: Mapping[str, Any], column: str, place: str) -> Any:
    """Return the value of a column; raises ConfigError when the row has none."""
    if column not in record:
        raise ConfigError(f"{place} has no column {column!r}.{suggest(column, record)}")
    value = record[column]
    if value is None or (isinstance(value, str | list) and not value):
        raise ConfigError(f"{place} has nothing in its column {column!r}; fill it, or leave the row out.")
    return value


def build_prompt(text: str, format: str, system: str | None) -> Prompt:
    """Return a prompt: for `chat` messages, for `plain` a text that begins with what the system says."""
    if format == "plain":
        return f"{system}\n\n{text}" if system else text
    return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": text}]
