"""What a critic asks of the trainer that it belongs to."""

from __future__ import annotations

from typing import Any, Protocol


class CriticHost(Protocol):
    """Attributes of TRL's trainer."""

    model: Any
    """The policy before it was prepared for training."""
    args: Any
    accelerator: Any
    _tokenizer: Any
