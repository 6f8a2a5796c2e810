"""A critic that is a head on the policy's own last hidden state."""

from __future__ import annotations

from typing import Any

import torch
from trl.models.utils import disable_gradient_checkpointing

from rlkit.trainers.critic.critic import Critic
from rlkit.trainers.critic.host import CriticHost
from rlkit.trainers.critic.passes import cut_rows, find_decoder, gather_part, hidden_size, without_dropout
from rlkit.trainers.loss import Rows
from rlkit.trainers.update import Pick


class SharedCritic(Critic):
    """H + 1 parameters beside the policy's.

    By default no gradient reaches the policy: its hidden states are read once a generation batch and kept while the
    head learns from them, so that further passes of the critic cost next to nothing.
    """

    kind = "shared"

    def __init__(self, host: CriticHost, moves_policy: bool = False) -> None:
        super().__init__(host, hidden_size(host.model))
        self.moves_policy = moves_policy
        self._kept: dict[int, torch.Tensor] = {}
        self._kept_of: Rows | None = None

    def decoder(self) -> Any:
        return find_decoder(self.host.accelerator.unwrap_model(self.host.model))

    @torch.no_grad()
    def values(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is expected before every token (B, T) and after the last one (B,); hidden states are kept."""
        model, args = self.host.model, self.host.args
        self.forget()
        with without_dropout(model), disable_gradient_checkpointing(model, args.gradient_checkpointing_kwargs):
            found = super().values(rows)
        self._kept_of = rows
        return found

    def parts(self, rows: Rows, chosen_B: torch.Tensor) -> list[tuple[list[Pick], bool]]:
        """Return chosen rows in micro-batches; what is kept needs no pass of the policy, so no other rank either."""
        if self._kept_of is not rows:
            return super().parts(rows, chosen_B)
        return [(part, False) for part in cut_rows(rows, chosen_B, self.rows_at_once)]

    def look(self, rows: Rows, part: list[Pick]) -> torch.Tensor:
        if self._kept_of is not rows:
            hidden = self.see(gather_part(rows, part))
            for pick, hidden_TH in zip(part, hidden, strict=True):
                self._kept[pick.row] = hidden_TH[: pick.completion_length + 1]
            return self.judge(hidden)
        kept = [self._kept[pick.row] for pick in part]
        return self.judge(torch.nn.utils.rnn.pad_sequence(kept, batch_first=True))

    def forget(self) -> None:
        self._kept, self._kept_of = {}, None
