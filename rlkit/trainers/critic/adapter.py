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

    It is built when the policy has been prepared for training, and hangs in the policy's layers inside `in_place` only.
    So no engine, optimizer, checkpoint or sync of the policy ever meets a parameter of it: ZeRO-3, for one, walks all
    that hang there and takes each for its own.
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
        self._config: Any = None
        self._parts: list[tuple[Any, Any]] = []
        self._named: dict[str, torch.Tensor] = {}

    @property
    def _policy(self) -> Any:
        return self.host.accelerator.unwrap_model(self.host.model)

    def prepare(self) -> None:
        if self._config is not None:
            return
        model = self._policy
        self._config = copy.deepcopy(model.peft_config[model.active_adapter])
        self._config.lora_dropout, self._config.modules_to_save, self._config.inference_mode = 0.0, None, False
        # The same on every rank, and no other draw of the run is another for it.
        with torch.random.fork_rng(devices=[]), self._unmoved():
            torch.manual_seed(self.host.args.seed)
            model.add_adapter(ADAPTER, self._config)
            self._named = {name: value for name, value in model.named_parameters() if f".{ADAPTER}." in name}
        for parameter in self._named.values():
            parameter.data = parameter.data.to(self.host.accelerator.device).float()
        kinds = (torch.nn.ModuleDict, torch.nn.ParameterDict)
        holders = [module for module in model.modules() if isinstance(module, kinds) and ADAPTER in module]
        self._parts = [(holder, holder[ADAPTER]) for holder in holders]
        self._take_out()

    def decoder(self) -> Any:
        return find_decoder(self._policy)

    def backbone_parameters(self) -> dict[str, torch.Tensor]:
        return self._named

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        self.prepare()
        model = self._policy
        with without_dropout(model), self._unmoved():
            model.peft_config[ADAPTER] = self._config
            for holder, part in self._parts:
                holder[ADAPTER] = part
            try:
                model.set_adapter(ADAPTER)
                yield
            finally:
                self._take_out()

    def _take_out(self) -> None:
        for holder, _ in self._parts:
            del holder[ADAPTER]
        del self._policy.peft_config[ADAPTER]

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
