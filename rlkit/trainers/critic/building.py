"""From settings to the critic they mean."""

from __future__ import annotations

from rlkit.trainers.critic.adapter import AdapterCritic
from rlkit.trainers.critic.critic import Critic
from rlkit.trainers.critic.host import CriticHost
from rlkit.trainers.critic.separate import SeparateCritic
from rlkit.trainers.critic.settings import CriticSettings
from rlkit.trainers.critic.shared import SharedCritic
from rlkit.trainers.critic.source import check_source, check_tokenizer, locate_backbone


def build_critic(settings: CriticSettings, host: CriticHost) -> Critic:
    """Return the critic of a policy; one that was saved is read later, when everything of it is there.

    Raises:
        ConfigError: it cannot be had, or does not go with the policy.
    """
    check_source(settings, None, hasattr(host.model, "peft_config"))
    if settings.kind == "adapter":
        return AdapterCritic(host)
    if settings.kind == "shared":
        return SharedCritic(host, moves_policy=settings.backbone_gradient)
    path = locate_backbone(settings, getattr(host.model.config, "_name_or_path", None))
    if settings.path is not None:
        check_tokenizer(path, host._tokenizer)
    return SeparateCritic(host, path, settings.from_reward_model)
