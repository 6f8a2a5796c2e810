"""Which samples are drawn together: spans of samples cut into batches of bounded memory, the same way on every call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """Consecutive samples of one prompt: `first`, ..., `first + count - 1`."""

    prompt: int
    """Index of the prompt."""
    first: int
    count: int

    def samples(self) -> range:
        """Return the numbers of the samples."""
        return range(self.first, self.first + self.count)


def plan_batches(
    prompt_lengths: Sequence[int], n: int, max_tokens: int, context: int | None, batch_tokens: int, max_rows: int
) -> Iterator[list[Span]]:
    """Yield batches of spans that together cover samples 0..n-1 of every prompt once, prompts of like length together.

    Args:
        prompt_lengths: tokens of each prompt.
        n: samples a prompt.
        max_tokens: most tokens drawn a sample.
        context: longest sequence of the model; None for no limit.
        batch_tokens: budget of one batch, counting each row at its full possible length.
        max_rows: most rows of one batch, whatever their length.
    """
    order = sorted(range(len(prompt_lengths)), key=lambda index: prompt_lengths[index])
    batch: list[Span] = []
    room = 0
    for index in reversed(order):
        # Longest first: the batch that needs most memory comes first and fails early; all later rows are no longer.
        length = prompt_lengths[index] + max_tokens
        rows = max(1, min(max_rows, batch_tokens // (min(length, context) if context else length)))
        first = 0
        while first < n:
            if not batch:
                room = rows
            count = min(n - first, room)
            batch.append(Span(index, first, count))
            first, room = first + count, room - count
            if room == 0:
                yield batch
                batch = []
    if batch:
        yield batch


def halve(batch: Sequence[Span]) -> tuple[list[Span], list[Span]] | None:
    """Return a batch in two parts of nearly equal numbers of rows; None when it has one row only."""
    rows = sum(span.count for span in batch)
    if rows < 2:
        return None
    left: list[Span] = []
    right: list[Span] = []
    room = rows // 2
    for span in batch:
        taken = min(span.count, room)
        if taken:
            left.append(Span(span.prompt, span.first, taken))
        if taken < span.count:
            right.append(Span(span.prompt, span.first + taken, span.count - taken))
        room -= taken
    return left, right


def bytes_per_token(config: Any, bytes_per_number: int) -> int:
    """Return the memory of one token in a key-value cache, from the model's configuration."""
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * width * bytes_per_number
