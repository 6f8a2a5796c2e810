"""The critic of PPO: where it lives, what it expects of every token, and how it learns.

Its parameters are replicated on every rank and belong to no engine: gradients are summed over ranks by hand, so that it
learns alike under data parallelism and ZeRO, which shards the policy and not the critic. It has files of its own, and
neither the policy's state nor what vLLM is sent holds any of it.
"""

from rlkit.trainers.critic.building import build_critic
from rlkit.trainers.critic.learner import CriticLearner
from rlkit.trainers.critic.settings import CriticSettings, read_critic
from rlkit.trainers.critic.source import check_source

__all__ = ["CriticLearner", "CriticSettings", "build_critic", "check_source", "read_critic"]
