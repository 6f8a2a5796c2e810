"""What the parts of a trainer ask of it. A part that needs less takes less: settings, a function or an accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from rlkit.trainers.loss import LossResult, LossSettings, LossState, Rows
from rlkit.trainers.statistics import Statistics
from rlkit.types import Prompt


class TrainerHost(Protocol):
    """The attributes of TRL's trainer that our parts read, and the methods of ours that they call."""

    model: Any
    """The policy before it was prepared for training."""
    ref_model: Any
    """The reference; None where an adapter is turned off instead."""
    args: Any
    accelerator: Any
    state: Any
    optimizer: Any
    train_dataset: Any
    num_iterations: int
    num_generations: int
    current_gradient_accumulation_steps: int
    is_deepspeed_enabled: bool
    use_vllm: bool
    eos_token_ids: list[int]
    _tokenizer: Any
    _last_loaded_step: int
    """Whose weights vLLM has, by TRL's reckoning."""

    @property
    def loss_settings(self) -> LossSettings:
        """What the loss is."""

    @property
    def loss_state(self) -> LossState:
        """What of the loss moves."""

    @property
    def pad_id(self) -> int:
        """The token that fills up shorter rows."""

    @property
    def num_waiting(self) -> int:
        """Micro-batches of the present optimizer step that have come before the one at hand."""

    def encode_prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return the tokens of prompts as rollouts begin with them."""

    def forward(self, model: Any, rows: Rows, **wanted: Any) -> tuple[torch.Tensor, Any, Any]:
        """Return log-probs (B, T), and entropies and auxiliary loss where they are wanted."""

    def compute_policy_loss(self, model: Any, rows: Rows) -> LossResult:
        """Return the loss of some rows, what a subclass adds to it included."""

    def sample(self, inputs: list[dict[str, Any]]) -> tuple[Rows, list[bool], torch.Tensor]:
        """Return a sampled batch, whether each completion of all ranks is correct, and this rank's log-probs (B, T)."""

    def record(self, name: str, value: float) -> None:
        """Add a value to a metric."""

    def finish_update(self, statistics: Statistics, num_microbatches: int) -> None:
        """Log what forward passes measured."""
