"""How chat prompts are put to a model: system message, chat template and what the template is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlkit.errors import ConfigError
from rlkit.parameters import show
from rlkit.types import Row


@dataclass(frozen=True)
class ChatFormat:
    """Settings of chat prompts; part of what a sample directory is identified by.

    Raises:
        ConfigError: a field is not allowed.
    """

    system: str | None = None
    """System message, put first; it replaces the one that a prompt has. None leaves prompts as they are."""
    template: str | None = None
    """Chat template, in Jinja; None takes the model's own."""
    template_args: Mapping[str, Any] = field(default_factory=dict)
    """What the template is told beside the messages, such as `enable_thinking: false`; JSON values."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("system", "template"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value.strip()):
                raise ConfigError(
                    f"{name} was given as {show(value)}; write a text that is not empty, or leave it out."
                )
        args: object = self.template_args
        if not (isinstance(args, Mapping) and all(isinstance(name, str) and name.isidentifier() for name in args)):
            raise ConfigError(f"template_args was given as {show(args)}; write names with values: key=value.")
        try:
            object.__setattr__(self, "template_args", json.loads(json.dumps(dict(args), allow_nan=False)))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"template_args holds what is no JSON value: {error}.") from error

    def as_json(self) -> dict[str, Any]:
        """Return the fields that are set as JSON types."""
        return {name: value for name, value in self.__dict__.items() if value}

    def apply_system(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows with the system message put first in each prompt.

        Raises:
            ConfigError: any field is set, but a prompt is plain text, on which none has an effect.
        """
        if not self.as_json():
            return list(rows)
        plain = next((row for row in rows if isinstance(row["prompt"], str)), None)
        if plain is not None:
            raise ConfigError(
                f"The prompt of problem {plain['id']!r} is plain text, on which {', '.join(self.as_json())} would have "
                "no effect; choose a task format with chat prompts, or leave that out."
            )
        if self.system is None:
            return list(rows)
        first = {"role": "system", "content": self.system}
        return [
            {**row, "prompt": [first, *(message for message in row["prompt"] if message["role"] != "system")]}
            for row in rows
        ]
