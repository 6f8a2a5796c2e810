"""Who draws the rollouts where the policy itself does not: weights that stand still, lag behind, or are renewed.

They are kept beside the policy, those that are trained only, so that an adapter costs an adapter; while rollouts are
drawn they lie in the policy's place, whichever engine draws. The ratio of the surrogate is then policy / sampler, which
`logprobs.py` asks the same weights for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rlkit.errors import ConfigError, StoreError
from rlkit.objective.references import Ema, Initial, Reference, Reset
from rlkit.trainers.host import TrainerHost

FILE = "sampler.safetensors"
"""Its name in a checkpoint."""


def refuse_sharded_weights(is_split: bool) -> None:
    """Raise ConfigError where no process holds the policy's weights whole, so that others cannot take their place.

    Args:
        is_split: whether they are split otherwise than by DeepSpeed, which is asked here.
    """
    from transformers.integrations import is_deepspeed_zero3_enabled

    if is_deepspeed_zero3_enabled() or is_split:
        what = "DeepSpeed's stage 3" if is_deepspeed_zero3_enabled() else "FSDP"
        raise ConfigError(
            f"A sampler other than the policy needs its weights whole in every process, which {what} cuts up; launch "
            "with stage 2 or plain data parallelism, or write sampler: policy."
        )


class Sampler:
    """Keeps the weights that draw a trainer's rollouts, and puts them in the policy's place.

    Every rank has the same policy after a step, and so the same sampler, without a word between them.
    """

    def __init__(self, host: TrainerHost, lag: Reference) -> None:
        self._host, self.lag = host, lag
        self._weights = {name: parameter.detach().clone() for name, parameter in self._trained()}
        self._version = 0
        self._loaded: tuple[str, int] | None = None

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Move the sampler after optimizer step `step`."""
        if isinstance(self.lag, Ema):
            for name, parameter in self._trained():
                # A hundredth of a small change is nothing in bfloat16.
                kept = self._weights[name] = self._weights[name].to(parameter.device, torch.float32)
                kept.lerp_(parameter.detach().float(), 1 - self.lag.decay)
            self._version += 1
        elif isinstance(self.lag, Reset) and self.lag.every is not None and step % self.lag.every == 0:
            self._weights = {name: parameter.detach().clone() for name, parameter in self._trained()}
            self._version += 1

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the policy's parameters hold the sampler's weights for the block, in which nothing may be learnt."""
        own: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
        try:
            for name, parameter in self._trained():
                own.append((parameter, parameter.data))
                # What is pointed to is changed, and not what is in it: optimizers and engines hold on to that.
                parameter.data = self._weights[name].to(parameter.device, parameter.dtype)
            yield
        finally:
            for parameter, data in own:
                parameter.data = data

    @contextlib.contextmanager
    def drawing(self, is_training: bool) -> Iterator[None]:
        """Have the sampler draw for the block, or the policy in an evaluation; vLLM is given the weights of either."""
        host = self._host
        if host.use_vllm:
            wanted = ("sampler", self._version) if is_training else ("policy", host.state.global_step)
            # TRL gives vLLM the weights it finds whenever this is not the present step.
            host._last_loaded_step = host.state.global_step if wanted == self._loaded else -1
            self._loaded = wanted
        with self.in_place() if is_training else contextlib.nullcontext():
            yield

    def _trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        model = self._host.accelerator.unwrap_model(self._host.model)
        return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)

    @property
    def _is_built_anew(self) -> bool:
        """Whether a continued run starts from the same weights without being told: an adapter's first are drawn."""
        has_adapter = hasattr(self._host.accelerator.unwrap_model(self._host.model), "peft_config")
        return isinstance(self.lag, Initial) and not has_adapter

    def save(self, directory: str | Path) -> None:
        """Write the weights into a checkpoint, unless a continued run has them anyway; on rank 0 only."""
        if self._is_built_anew:
            return
        from safetensors.torch import save_file

        weights = {name: weight.detach().cpu().contiguous() for name, weight in self._weights.items()}
        save_file(weights, str(Path(directory) / FILE))

    def load(self, directory: str | Path) -> None:
        """Read the weights of a checkpoint.

        Raises:
            StoreError: it has none, or those of other parameters.
        """
        if self._is_built_anew:
            return
        from safetensors.torch import load_file

        path = Path(directory) / FILE
        if not path.is_file():
            raise StoreError(f"The checkpoint {directory} has no {FILE}, which this run's sampler needs; start anew.")
        found: dict[str, Any] = load_file(str(path))
        if found.keys() != self._weights.keys():
            raise StoreError(f"{path} holds other weights than are trained here; start anew.")
        self._weights = {name: found[name].to(kept.device) for name, kept in self._weights.items()}
        self._version += 1
