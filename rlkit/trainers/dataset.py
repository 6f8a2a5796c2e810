"""The rows of a task as the trainer's dataset: columns of any kind as they are, prompts that the model has room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.encoding import encode_prompts
from rlkit.terminal import note
from rlkit.types import Row

_TAKEN = ("image", "images", "completion", "completions", "completion_ids", "prompts")
"""Columns that TRL would take for something else: pictures to show, or what it calls rewards with itself."""


def make_dataset(rows: Sequence[Row]) -> Dataset:
    """Return rows as a dataset that gives back every value as it was; a column that a row lacks is None there.

    Raises:
        ConfigError: a column holds what no dataset can.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    if taken := [name for name in names if name in _TAKEN]:
        note(f"Rewards do not get the data's {', '.join(taken)}, names that TRL uses itself; rename what they need.")
    columns = [name for name in names if name not in _TAKEN]
    try:
        # Without it, mappings with different keys would be filled up, and a column of several types refused.
        return Dataset.from_list([{name: row.get(name) for name in columns} for row in rows], on_mixed_types="use_json")
    except (ValueError, TypeError, OverflowError) as error:
        said = " ".join(str(error).split())[:200].rstrip(".")
        raise ConfigError(f"The rows cannot be made a dataset ({said}); mend the column, or leave it out.") from error


def fit_prompts(
    rows: Sequence[Row], tokenizer: Any, context: int | None, max_completion_length: int, chat_args: Any = None
) -> list[Row]:
    """Return the rows whose prompts leave the model room for an answer; others are counted, and said.

    Args:
        rows: with prompts.
        tokenizer: the model's.
        context: tokens of prompt and completion that the model takes; None where there is no limit.
        max_completion_length: tokens that a completion may have; fewer are said as well.
        chat_args: what the chat template is told.

    Raises:
        ConfigError: there is no room in any, or the tokenizer has no chat template for prompts that are chats.
    """
    chat = ChatFormat(template_args=dict(chat_args or {}))

    def count(row: Row, number: int) -> int:
        return len(encode_prompts(tokenizer, [{"id": f"row {number + 1}", "prompt": row["prompt"]}], None, chat)[0])

    # A prompt has no more tokens than bytes and what the template adds, which a first one has as well.
    around = count(rows[0], 0)
    if context is None:
        return list(rows)
    might_be_long = (at for at, row in enumerate(rows) if _num_bytes(row) + around > context - max_completion_length)
    lengths = {at: count(rows[at], at) for at in might_be_long}
    without = {at for at, length in lengths.items() if length >= context}
    of_all, of_context = f"of {len(rows):,} prompts", f"the model's context of {context:,} tokens"
    if len(without) == len(rows):
        raise ConfigError(f"No prompt leaves room for an answer in {of_context}; choose shorter prompts.")
    if without:
        first = min(without) + 1
        note(f"{len(without):,} {of_all} are left out, the first in row {first}: they fill {of_context} alone.")
    if tight := sum(context - max_completion_length < length < context for length in lengths.values()):
        note(
            f"{tight:,} {of_all} leave less than max_completion_length={max_completion_length:,} in {of_context}; what "
            "is written beyond it is not what the model can do."
        )
    return [row for at, row in enumerate(rows) if at not in without]


def _num_bytes(row: Row) -> int:
    prompt = row["prompt"]
    texts = [prompt] if isinstance(prompt, str) else [str(message["content"]) for message in prompt]
    return sum(len(text.encode()) for text in texts)
