"""Rows that a model is to learn from, checked at the door: prompt and completion, or messages, and a weight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_text, show
from rlkit.tasks.prompting import take
from rlkit.tasks.rows import check_prompt, check_readable
from rlkit.tasks.tables import Record
from rlkit.types import Completion, Prompt


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One row to learn from, or to be pushed away from."""

    prompt: Prompt
    completion: Completion
    """A text, or the messages that answer; what is learnt."""
    weight: float = 1.0
    """Below 0: the row is wrong, and weighs that much among the negatives."""
    logp: float | None = None
    """Log-prob of the completion under who drew it, nats; None where nobody knows."""
    place: str = ""
    """How messages call the row."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a data set hold what; `messages` is read where there is no prompt.

    Raises:
        ConfigError: a name is empty.
    """

    prompt: str = "prompt"
    completion: str = "completion"
    messages: str = "messages"
    weight: str = "weight"
    logp: str = "logp"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_text("data", name, value)


def read_demonstrations(
    records: Iterable[Record], source: str, columns: Columns | None = None
) -> Iterator[Demonstration]:
    """Yield the rows of a data set, each with a prompt and an answer that can be learnt.

    Args:
        records: the rows as they are stored.
        source: how messages call the data.
        columns: which columns hold what.

    Raises:
        ConfigError: a row lacks a column, or holds in it what cannot be learnt; names row and column.
    """
    names = columns or Columns()
    for number, record in enumerate(records, start=1):
        place = f"Row {number} of {source}"
        prompt, completion = _take_both(record, names, place)
        yield Demonstration(
            prompt,
            completion,
            _number(record, names.weight, place, 1.0),
            _number(record, names.logp, place, None),
            place,
        )


def _take_both(record: Record, names: Columns, place: str) -> tuple[Prompt, Completion]:
    if names.prompt not in record and names.messages in record:
        return _split_messages(take(record, names.messages, place), names.messages, place)
    if names.prompt not in record and names.completion not in record:
        raise ConfigError(
            f"{place} has neither {names.prompt!r} and {names.completion!r} nor {names.messages!r}."
            f"{suggest(names.prompt, map(str, record))}"
        )
    prompt, completion = take(record, names.prompt, place), take(record, names.completion, place)
    check_prompt(prompt, place)
    if isinstance(completion, str):
        check_readable(completion, f"{place}, column {names.completion!r},")
    elif not _are_answers(completion):
        raise ConfigError(
            f"{place} holds {show(completion)} in its column {names.completion!r}; write a text, or a list of messages "
            'of the assistant such as {"role": "assistant", "content": "..."}.'
        )
    elif isinstance(prompt, str):
        raise ConfigError(
            f"{place} holds messages in its column {names.completion!r} but a text in {names.prompt!r}; write both as "
            "text or both as messages."
        )
    return prompt, completion


def _split_messages(messages: Any, column: str, place: str) -> tuple[Prompt, Completion]:
    is_whole = isinstance(messages, list) and len(messages) > 1 and _are_answers(messages[-1:])
    if not is_whole:
        raise ConfigError(
            f"{place} holds {show(messages)} in its column {column!r}; write at least two messages, the last of the "
            'assistant: {"role": "assistant", "content": "..."}.'
        )
    check_prompt(messages[:-1], place)
    return messages[:-1], messages[-1:]


def _are_answers(completion: Any) -> bool:
    if not isinstance(completion, list) or not completion:
        return False
    for message in completion:
        if not isinstance(message, Mapping) or message.get("role") != "assistant":
            return False
        content = message.get("content")
        if not isinstance(content, str) or not content.strip():
            return False
        check_readable(content, "A message to learn")
    return True


def _number(record: Record, column: str, place: str, default: float | None) -> Any:
    value = record.get(column)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) < 1e12:
        raise ConfigError(f"{place} holds {show(value)} in its column {column!r}; write a finite number.")
    return float(value)


def part_signs(rows: Sequence[Demonstration], negatives_given: bool) -> tuple[list[Demonstration], list[Demonstration]]:
    """Return the rows to learn and the rows to push down, the latter those with a weight below 0.

    Args:
        rows: of the data.
        negatives_given: whether the recipe says what is done with negatives.

    Raises:
        ConfigError: a weight below 0 without `negatives`, or no row with a weight above 0.
    """
    wrong = [row for row in rows if row.weight < 0]
    if wrong and not negatives_given:
        raise ConfigError(
            f"{wrong[0].place} weighs {wrong[0].weight:g}; rows below 0 are pushed down, where the recipe says how; "
            "write negatives: {weight: 1.0}, or give weights of at least 0."
        )
    learnt = [row for row in rows if row.weight > 0]
    if not learnt:
        raise ConfigError(
            f"None of the {len(rows):,} rows of data weighs more than 0; there is nothing to learn from them."
        )
    return learnt, wrong
