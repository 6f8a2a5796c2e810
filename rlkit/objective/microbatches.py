"""Which rows of an update need a forward pass, and how they are cut into micro-batches of like length."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rlkit.errors import ConfigError


def cut_by_tokens(lengths_N: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Return micro-batches as lists of row numbers: longest rows first, each padded to its longest within the budget.

    Args:
        lengths_N: tokens of each row, prompt and completion.
        max_tokens: most tokens of a micro-batch, padding included; a row that is longer by itself is one alone.

    Raises:
        ConfigError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise ConfigError(f"A micro-batch was given room for {max_tokens} tokens; it takes 1 or more.")
    batches: list[list[int]] = []
    room = 0
    for row in sorted(range(len(lengths_N)), key=lambda row: -lengths_N[row]):
        if room < 1:
            batches.append([])
            room = max(1, max_tokens // max(1, lengths_N[row]))
        batches[-1].append(row)
        room -= 1
    return batches


def find_needed_rows(
    advantages: torch.Tensor,
    mask_BT: torch.Tensor,
    anchored_B: torch.Tensor | None = None,
    has_anchor: bool = False,
    has_entropy_term: bool = False,
) -> torch.Tensor:
    """Return which rows have any weight in the loss, bool of shape (B,); the gradient of the others is exactly zero.

    Args:
        advantages: (B,), (B, 1) or (B, T).
        mask_BT: 1 where a token counts; a row without any needs nothing.
        anchored_B: 1 where the anchor holds a completion; None holds all.
        has_anchor: whether an anchor with a coefficient other than 0 is in the loss.
        has_entropy_term: whether the entropy of every token is in the loss.
    """
    needed_B = (advantages != 0).reshape(len(advantages), -1).any(dim=1)
    if has_anchor:
        needed_B = needed_B | (torch.ones_like(needed_B) if anchored_B is None else anchored_B > 0)
    if has_entropy_term:
        needed_B = torch.ones_like(needed_B)
    return needed_B & (mask_BT != 0).any(dim=1)
