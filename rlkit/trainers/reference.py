"""The reference policy of an anchor, moved after each optimizer step, and kept in checkpoints once it has moved.

TRL builds the reference (a frozen copy of the initial policy, or under PEFT the policy without its adapter) and
computes its log-probs; here it follows the policy: an exponential moving average, or a hard reset on a schedule or on a
stall.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from trl.trainer.callbacks import SyncRefModelCallback

from rlkit.errors import ConfigError, StoreError
from rlkit.objective.references import Ema, Reset
from rlkit.recipe.plan import Plan
from rlkit.trainers.host import TrainerHost
from rlkit.trainers.memory import RunMemory

FILE = "reference.safetensors"
"""Its name in a checkpoint; only a reference that moves is saved."""


class ReferencePolicy:
    """Moves a trainer's reference model as an anchor's `reference` says.

    Raises:
        ConfigError: the reference asked for does not fit the way this run trains.
    """

    def __init__(self, host: TrainerHost, plan: Plan) -> None:
        reference = plan.reference
        self._host, self.reference = host, reference
        self.num_resets = 0
        plan.check_adapter(hasattr(host.accelerator.unwrap_model(host.model), "peft_config"))
        if isinstance(reference, Reset) and reference.reset_optimizer and host.is_deepspeed_enabled:
            raise ConfigError("reset_optimizer cannot reach the optimizer that DeepSpeed shards; leave it out.")

    @property
    def moves(self) -> bool:
        """Whether the reference ever differs from the initial policy."""
        return isinstance(self.reference, Ema | Reset)

    def after_step(self, step: int, memory: RunMemory, reward: float | None) -> bool:
        """Move the reference after optimizer step `step`; True when it was reset to the policy.

        Args:
            step: optimizer steps done.
            memory: holds the stall detector's state.
            reward: mean reward of the newest rollouts; None when there are none since the last call.
        """
        if isinstance(self.reference, Ema):
            if step % self.reference.every == 0:
                self._mix(1 - self.reference.decay)
            return False
        if not isinstance(self.reference, Reset):
            return False
        is_due = self.reference.every is not None and step % self.reference.every == 0
        if reward is not None and self.reference.patience is not None:
            memory.stall, is_stalled = self.reference.observe(memory.stall, reward)
            is_due = is_due or is_stalled
        if is_due:
            self._reset()
        return is_due

    def _mix(self, share: float) -> None:
        model = self._host.accelerator.unwrap_model(self._host.model)
        SyncRefModelCallback.sync_target_model(model, self._host.ref_model, share)

    def _reset(self) -> None:
        self._mix(1.0)
        self.num_resets += 1
        if isinstance(self.reference, Reset) and self.reference.reset_optimizer:
            self._host.optimizer.state.clear()

    def save(self, directory: str | Path) -> None:
        """Write the reference into a checkpoint, if it moves; all ranks must call it."""
        if not self.moves:
            return
        from safetensors.torch import save_file

        state = {}
        for name, parameter in self._host.ref_model.named_parameters():
            with _whole(parameter):
                if self._host.accelerator.is_main_process:
                    state[name] = parameter.detach().cpu().clone()
        if self._host.accelerator.is_main_process:
            save_file(state, str(Path(directory) / FILE))

    def load(self, directory: str | Path) -> None:
        """Read the reference of a checkpoint; all ranks must call it.

        Raises:
            StoreError: the reference moves, but the checkpoint has none.
        """
        if not self.moves:
            return
        from safetensors.torch import load_file

        path = Path(directory) / FILE
        if not path.is_file():
            raise StoreError(
                f"The checkpoint {directory} has no {FILE}, which the anchor's reference needs; start anew."
            )
        state = load_file(str(path))
        for name, parameter in self._host.ref_model.named_parameters():
            with _whole(parameter, is_written=True), torch.no_grad():
                parameter.copy_(state[name].to(parameter.device))


@contextlib.contextmanager
def _whole(parameter: torch.nn.Parameter, is_written: bool = False) -> Iterator[None]:
    """Make a parameter that ZeRO-3 keeps in parts whole for the block."""
    if not hasattr(parameter, "ds_id"):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0 if is_written else None):
        yield
