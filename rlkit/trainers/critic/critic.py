"""What every critic has: a head on hidden states, and expectations of all tokens of a generation batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rlkit.trainers.critic.files import load_weights, save_weights
from rlkit.trainers.critic.host import CriticHost
from rlkit.trainers.critic.passes import cut_rows, gather_part, idle_part, read_hidden
from rlkit.trainers.loss import Rows
from rlkit.trainers.stored_rows import agree_on_largest
from rlkit.trainers.update import Pick


class Critic:
    """A head on the hidden states that a subclass gives; `SharedCritic`, `SeparateCritic`, `AdapterCritic`.

    The head is linear, begins at zero and computes in float32, whatever the backbone does: bf16 has two digits.
    """

    kind = ""
    moves_policy = False
    """Whether its loss is part of the policy's, so that its gradient reaches the policy's backbone."""

    waits_for_policy = False
    """Whether part of it is built only once the policy has been prepared for training."""

    def __init__(self, host: CriticHost, width: int) -> None:
        self.host = host
        head = torch.nn.Linear(width, 1)
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        self.head = head.to(host.accelerator.device)

    # What a subclass says.

    def prepare(self) -> None:
        """Build what can be built only once the policy is prepared for training."""

    def decoder(self) -> Any:
        """Return what gives hidden states."""
        raise NotImplementedError

    def backbone_parameters(self) -> dict[str, torch.Tensor]:
        """Return what of the backbone is the critic's own and learns, by name."""
        return {}

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the critic's backbone in place for the block; backward passes end inside it."""
        yield

    # What is built on that.

    def named_parameters(self) -> dict[str, torch.Tensor]:
        """Return all that the critic learns, by name, in one order on all ranks."""
        self.prepare()
        head = {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}
        return {**head, **self.backbone_parameters()}

    def parameters(self) -> list[torch.Tensor]:
        """Return all that the critic learns."""
        return list(self.named_parameters().values())

    @property
    def rows_at_once(self) -> int:
        """Rows of one forward pass: as many as of the policy's."""
        return int(self.host.args.per_device_train_batch_size)

    @torch.no_grad()
    def values(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is expected before every token (B, T) and after the last one (B,); float32. A collective.

        0 where there is no token, and for a completion of none.
        """
        self.prepare()
        chosen_B = (rows["completion_mask"] != 0).any(dim=1)
        values_BT = torch.zeros(rows["completion_ids"].shape, device=rows["completion_ids"].device)
        after_B = torch.zeros(len(values_BT), device=values_BT.device)
        with self.in_place():
            for part, is_idle in self.parts(rows, chosen_B):
                found = self.look(rows, part)
                for pick, values_T in zip([] if is_idle else part, found, strict=False):
                    values_BT[pick.row, : pick.completion_length] = values_T[: pick.completion_length]
                    after_B[pick.row] = values_T[pick.completion_length]
        return values_BT, after_B

    def parts(self, rows: Rows, chosen_B: torch.Tensor) -> list[tuple[list[Pick], bool]]:
        """Return chosen rows in micro-batches, and whether one is only for other ranks' sake; as many on each rank."""
        parts = cut_rows(rows, chosen_B, self.rows_at_once)
        number = agree_on_largest(self.host.accelerator, len(parts))
        return [*((part, False) for part in parts), *((idle_part(), True) for _ in range(number - len(parts)))]

    def look(self, rows: Rows, part: list[Pick]) -> torch.Tensor:
        """Return what is expected of picked rows, (rows, tokens + 1), with gradient; the last one after all tokens."""
        return self.judge(self.see(gather_part(rows, part)))

    def see(self, rows: Rows) -> torch.Tensor:
        """Return hidden states of a micro-batch from the critic's backbone, in the precision of training."""
        with self.host.accelerator.autocast():
            return read_hidden(self.decoder(), rows)

    def forget(self) -> None:
        """Let go of what was kept of a batch that has been learnt."""

    def judge(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the head's word on hidden states (..., H), float32."""
        with torch.autocast(hidden.device.type, enabled=False):
            values: torch.Tensor = self.head(hidden.float()).squeeze(-1)
        return values

    def save(self, directory: str | Path) -> None:
        """Write the critic alone, from rank 0; a collective."""
        weights = self.named_parameters()
        if self.host.accelerator.is_main_process:
            save_weights(directory, weights, self.kind)
        self.host.accelerator.wait_for_everyone()

    def load(self, directory: str | Path) -> None:
        """Read a critic that was saved, on every rank.

        Raises:
            ConfigError: there is none, or it does not fit.
        """
        load_weights(directory, self.named_parameters())
