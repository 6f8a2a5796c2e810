"""The reward contract: what a reward plug-in may look like, how it is named, and how it is run."""

from rlkit.rewards.bound_reward import (
    REWARDS,
    BoundReward,
    bind_reward,
    check_columns,
    find_reward,
    name_rewards,
    resolve_reward,
)
from rlkit.rewards.contract import group_reward, reward
from rlkit.rewards.forms import TRAINER_COLUMNS, TRL_OBJECTS, is_group_reward
from rlkit.rewards.run_settings import RunSettings

__all__ = [
    "REWARDS",
    "TRAINER_COLUMNS",
    "TRL_OBJECTS",
    "BoundReward",
    "RunSettings",
    "bind_reward",
    "check_columns",
    "find_reward",
    "group_reward",
    "is_group_reward",
    "name_rewards",
    "resolve_reward",
    "reward",
]
