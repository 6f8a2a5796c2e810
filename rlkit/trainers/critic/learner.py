"""How a critic learns the returns of a generation batch, on one rank or on many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rlkit.returns import explain_variance, measure_fit, value_losses
from rlkit.trainers.critic.critic import Critic
from rlkit.trainers.critic.host import CriticHost
from rlkit.trainers.critic.settings import CriticSettings
from rlkit.trainers.loss import Rows
from rlkit.trainers.update import Pick

_OPTIMIZER = "critic_optimizer.pt"


class CriticLearner:
    """An AdamW of the critic's own at a constant learning rate; every method is a collective.

    A mini-batch is rows of all ranks, drawn by one permutation that all of them know, and its loss is a mean over its
    tokens wherever they lie: two ranks learn what one does.
    """

    def __init__(self, settings: CriticSettings, critic: Critic, host: CriticHost) -> None:
        self._settings, self._critic, self._host = settings, critic, host
        self._optimizer: torch.optim.Optimizer | None = None
        self._num_batches = 0
        if not critic.waits_for_policy:
            self.begin()

    def begin(self) -> torch.optim.Optimizer:
        """Return the optimizer; with it, at the first call, the critic is complete and begins where it is to."""
        if self._optimizer is None:
            settings = self._settings
            if settings.start is not None:
                self._critic.load(settings.start)
            self._optimizer = torch.optim.AdamW(
                self._critic.parameters(), lr=settings.learning_rate_now, weight_decay=settings.weight_decay
            )
        return self._optimizer

    def learn(
        self,
        rows: Rows,
        old_values_BT: torch.Tensor,
        returns_BT: torch.Tensor,
        mask_BT: torch.Tensor,
        clips: bool = True,
    ) -> dict[str, float]:
        """Learn the returns of this rank's rows and all other ranks', and return what is to be logged.

        Args:
            rows: TRL's tensors; those of the same size on every rank.
            old_values_BT: what `Critic.values` said of them before.
            returns_BT: what is to be expected.
            mask_BT: not 0 where a token counts.
            clips: whether values keep to the clip range.
        """
        statistics = self._describe(old_values_BT, returns_BT, mask_BT)
        if self._critic.moves_policy:
            self._critic.forget()
            rows["returns"], rows["old_values"] = returns_BT, old_values_BT
            return statistics
        optimizer, given = self.begin(), (rows, old_values_BT, returns_BT, mask_BT)
        found = [self._step(optimizer, chosen_B, given, clips) for chosen_B in self._minibatches(len(mask_BT))]
        self._num_batches += 1
        self._critic.forget()
        return statistics | _mean([each for each in found if each is not None])

    def _minibatches(self, num_rows: int) -> Iterator[torch.Tensor]:
        """Yield which of this rank's rows (B,) are in each mini-batch."""
        accelerator = self._host.accelerator
        world_rows, first = num_rows * accelerator.num_processes, num_rows * accelerator.process_index
        generator = torch.Generator().manual_seed(self._host.args.seed + 1_000_003 * self._num_batches)
        for _ in range(self._settings.epochs):
            order = torch.randperm(world_rows, generator=generator)
            for drawn in order.chunk(min(self._count_minibatches(), world_rows)):
                chosen_B = torch.zeros(world_rows, dtype=torch.bool)
                chosen_B[drawn] = True
                yield chosen_B[first : first + num_rows]

    def _count_minibatches(self) -> int:
        args = self._host.args
        policy = args.steps_per_generation // args.gradient_accumulation_steps * args.num_iterations
        return self._settings.minibatches or max(1, policy)

    def _step(
        self, optimizer: torch.optim.Optimizer, chosen_B: torch.Tensor, given: tuple[Any, ...], clips: bool
    ) -> dict[str, float] | None:
        """Take one optimizer step on chosen rows; None where no rank has a token among them."""
        rows, old_values_BT, returns_BT, mask_BT = given
        critic, accelerator = self._critic, self._host.accelerator
        chosen_B = chosen_B.to(mask_BT.device) & (mask_BT != 0).any(dim=1)
        count = accelerator.reduce((mask_BT[chosen_B] != 0).sum().double(), reduction="sum").item()
        if count == 0:
            return None
        clip_range = self._settings.clip_range if clips else None
        sums = torch.zeros(2, dtype=torch.float64, device=mask_BT.device)
        optimizer.zero_grad(set_to_none=True)
        with critic.in_place():
            for part, is_idle in critic.parts(rows, chosen_B):
                if is_idle:
                    # Backward as well: under ZeRO-3 both passes gather weights that all ranks hold parts of.
                    (critic.look(rows, part).sum() * 0).backward()
                    continue
                wide = {"old": old_values_BT, "returns": returns_BT, "mask": mask_BT}
                values_BT = critic.look(rows, part)[:, :-1]
                old, returns, mask = (_pick(wide[name], part, values_BT.size(1)) for name in ("old", "returns", "mask"))
                losses_BT, clipped_BT = value_losses(values_BT, old, returns, mask, clip_range)
                (losses_BT.sum() / count).backward()
                sums += torch.stack([losses_BT.detach().sum(), clipped_BT.sum()]).double()
        loss, clipped = (accelerator.reduce(sums, reduction="sum") / count).tolist()
        return {"loss": loss, "clip_share": clipped, "grad_norm": self._apply(optimizer)}

    def _apply(self, optimizer: torch.optim.Optimizer, averages: bool = False) -> float:
        """Add up the gradients of all ranks, clip them and step; return their norm."""
        parameters, accelerator = self._critic.parameters(), self._host.accelerator
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if accelerator.num_processes > 1:
            flat = torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])
            flat = accelerator.reduce(flat, reduction="mean" if averages else "sum")
            sizes = [parameter.numel() for parameter in parameters]
            for parameter, gradient in zip(parameters, flat.split(sizes), strict=True):
                parameter.grad = gradient.view_as(parameter)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self._settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def _describe(self, values_BT: torch.Tensor, returns_BT: torch.Tensor, mask_BT: torch.Tensor) -> dict[str, float]:
        """Return what the critic said of a batch that it had not learnt from."""
        accelerator, counted_BT = self._host.accelerator, mask_BT != 0
        fit_5 = accelerator.reduce(measure_fit(values_BT, returns_BT, mask_BT), reduction="sum")
        count, _, _, _, squared_error = fit_5.tolist()
        kept = values_BT[counted_BT].double()
        total = accelerator.reduce(kept.sum(), reduction="sum").item()
        infinity = torch.full((), torch.inf, dtype=torch.float64, device=values_BT.device)
        ends = torch.stack([kept.min() if len(kept) else infinity, -kept.max() if len(kept) else infinity])
        low, high = accelerator.gather(ends[None]).amin(dim=0).tolist()
        if count == 0:
            return {"explained_variance": float("nan")}
        told = {"explained_variance": explain_variance(fit_5), "value_error": squared_error / count}
        return told | {"value_mean": total / count, "value_min": low, "value_max": -high}

    def loss_of(self, model: Any, rows: Rows, mask_BT: torch.Tensor) -> torch.Tensor:
        """Return what the critic loses on rows of the policy's update, with gradient into the policy, weighted as it.

        `step_with_policy` then moves the head.
        """
        values_BT = self._critic.judge(self._critic.see(rows))[:, :-1]
        losses_BT, _ = value_losses(values_BT, rows["old_values"], rows["returns"], mask_BT, self._settings.clip_range)
        loss: torch.Tensor = self._settings.coef * (losses_BT.sum(dim=1) * rows["row_weights"]).sum()
        return loss

    def step_with_policy(self) -> float:
        """Move the head by what the policy's update left in it; return its gradient's norm."""
        return self._apply(self.begin(), averages=True)

    def save(self, directory: str | Path) -> None:
        """Write the critic and what its optimizer knows."""
        optimizer = self.begin()
        self._critic.save(directory)
        if self._host.accelerator.is_main_process:
            state = {"optimizer": optimizer.state_dict(), "num_batches": self._num_batches}
            torch.save(state, Path(directory) / _OPTIMIZER)

    def load(self, directory: str | Path) -> None:
        """Read both back, on every rank.

        Raises:
            ConfigError: there is no critic, or it does not fit.
        """
        optimizer = self.begin()
        self._critic.load(directory)
        state = torch.load(Path(directory) / _OPTIMIZER, map_location=self._host.accelerator.device, weights_only=True)
        optimizer.load_state_dict(state["optimizer"])
        self._num_batches = state["num_batches"]


def _pick(values_BT: torch.Tensor, part: list[Pick], width: int) -> torch.Tensor:
    """Return picked rows of a wide tensor, as wide as their micro-batch."""
    return torch.stack([values_BT[pick.row, :width] for pick in part])


def _mean(found: list[dict[str, float]]) -> dict[str, float]:
    """Return the means of what steps measured, and how many there were."""
    keys = found[0] if found else {}
    return {key: sum(each[key] for each in found) / len(found) for key in keys} | {"updates": float(len(found))}
