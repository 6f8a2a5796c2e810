"""A critic that is a second LoRA adapter on the policy's frozen base, with a head."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch

from rlkit.errors import ConfigError
from rlkit.trainers.critic.critic import Critic
from rlkit.trainers.critic.host import CriticHost
from rlkit.trainers.critic.passes import find_decoder, hidden_size, without_dropout

ADAPTER = "critic"
"""How PEFT calls it."""


class AdapterCritic(Critic):
    """As much memory beside the policy as its own adapter takes; the base is there once.

    It is added when the policy has been prepared for training, so that no engine or optimizer of the policy ever sees
    it. Outside `in_place` the policy's adapter is the active one and everything is as trainable as it was.
    """

    kind = "adapter"
    waits_for_policy = True

    def __init__(self, host: CriticHost) -> None:
        if not hasattr(host.model, "peft_config"):
            raise ConfigError(
                "critic is adapter, a second adapter on the policy's frozen base, but this run trains all weights; "
                "give a peft_config, or write critic: shared."
            )
        super().__init__(host, hidden_size(host.model))

    @property
    def _policy(self) -> Any:
        return self.host.accelerator.unwrap_model(self.host.model)

    def prepare(self) -> None:
        model = self._policy
        if ADAPTER in model.peft_config:
            return
        config = copy.deepcopy(model.peft_config[model.active_adapter])
        config.lora_dropout, config.modules_to_save, config.inference_mode = 0.0, None, False
        # The same on every rank, and no other draw of the run is another for it.
        with torch.random.fork_rng(devices=[]), self._unmoved():
            torch.manual_seed(self.host.args.seed)
            model.add_adapter(ADAPTER, config)
        for parameter in self.backbone_parameters().values():
            parameter.requires_grad_(False)
            parameter.data = parameter.data.to(self.host.accelerator.device).float()

    def decoder(self) -> Any:
        return find_decoder(self._policy)

    def backbone_parameters(self) -> dict[str, torch.Tensor]:
        return {name: value for name, value in self._policy.named_parameters() if f".{ADAPTER}." in name}

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        self.prepare()
        model = self._policy
        with without_dropout(model), self._unmoved():
            model.set_adapter(ADAPTER)
            yield

    @contextlib.contextmanager
    def _unmoved(self) -> Iterator[None]:
        """Bring back afterwards which adapter is active and what is trainable, both of which PEFT changes."""
        model = self._policy
        active = model.active_adapter
        trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        try:
            yield
        finally:
            model.set_adapter(active)
            for parameter, flag in trainable:
                parameter.requires_grad_(flag)

    @contextlib.contextmanager
    def left_out(self) -> Iterator[None]:
        """Have PEFT know nothing of it for the block, in which the policy is saved: it would write every adapter."""
        configs = self._policy.peft_config
        kept = configs.pop(ADAPTER, None)
        try:
            yield
        finally:
            if kept is not None:
                configs[ADAPTER] = kept
