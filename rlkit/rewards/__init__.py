"""The reward contract: what a reward plug-in may look like, how it is named, and how it is run."""

from rlkit.rewards.binding import BoundReward, bind_reward, check_columns, name_rewards, resolve_reward
from rlkit.rewards.composition import check_roles, compose_rewards
from rlkit.rewards.contract import FACTS, REWARDS, group_reward, is_group_reward, reward
from rlkit.rewards.settings import RunSettings
from rlkit.rewards.trl_form import as_batch_reward

__all__ = [
    "FACTS",
    "REWARDS",
    "BoundReward",
    "RunSettings",
    "as_batch_reward",
    "bind_reward",
    "check_columns",
    "check_roles",
    "compose_rewards",
    "group_reward",
    "is_group_reward",
    "name_rewards",
    "resolve_reward",
    "reward",
]
