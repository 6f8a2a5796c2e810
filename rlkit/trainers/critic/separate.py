"""A critic with a backbone of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from transformers.integrations import deepspeed as integration

from rlkit.errors import ConfigError
from rlkit.trainers.critic.critic import Critic
from rlkit.trainers.critic.host import CriticHost
from rlkit.trainers.critic.passes import find_decoder, hidden_size


class SeparateCritic(Critic):
    """A second model and a second optimizer, whole on every rank, in float32; no gradient of one reaches the other.

    Its backbone may be of any size, and may come from a reward model, whose score then is the head's first word.
    """

    kind = "separate"

    def __init__(self, host: CriticHost, path: str, from_reward_model: bool = False) -> None:
        model = _load(path, from_reward_model, host.args)
        super().__init__(host, hidden_size(model))
        backbone = model.base_model if from_reward_model else model
        self.backbone = backbone.to(host.accelerator.device).train()
        if host.args.gradient_checkpointing:
            self.backbone.gradient_checkpointing_enable(host.args.gradient_checkpointing_kwargs)
        if from_reward_model:
            self._take_score(model, path)

    def _take_score(self, model: Any, path: str) -> None:
        score = getattr(model, "score", None)
        if score is None or tuple(score.weight.shape) != tuple(self.head.weight.shape):
            raise ConfigError(
                f"critic.path is {path}, which has no score of one number; name a reward model with num_labels: 1, or "
                "leave from_reward_model out."
            )
        with torch.no_grad():
            self.head.weight.copy_(score.weight)
            if getattr(score, "bias", None) is not None:
                self.head.bias.copy_(score.bias)

    def decoder(self) -> Any:
        return find_decoder(self.backbone)

    def backbone_parameters(self) -> dict[str, torch.Tensor]:
        return {f"backbone.{name}": parameter for name, parameter in self.backbone.named_parameters()}


def _load(path: str, is_reward_model: bool, args: Any) -> Any:
    given = args.model_init_kwargs or {}
    chosen = {"revision": given.get("revision"), "trust_remote_code": args.trust_remote_code}
    config = AutoConfig.from_pretrained(path, **chosen)
    for key in vars(config):
        # Two passes over equal weights must expect the same.
        if key.endswith(("dropout", "pdrop")) and isinstance(getattr(config, key), float):
            setattr(config, key, 0.0)
    if is_reward_model:
        config.num_labels = 1
    kind = AutoModelForSequenceClassification if is_reward_model else AutoModel
    with _whole():
        return kind.from_pretrained(path, config=config, dtype=torch.float32, **chosen)


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Have models loaded whole: under ZeRO-3 transformers would cut this one up for an engine that it is not of."""
    reference = integration._hf_deepspeed_config_weak_ref
    integration.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        integration._hf_deepspeed_config_weak_ref = reference
