"""The reward contract: what a reward plug-in may look like, how it is named, and how it is run."""

from rlkit.rewards.binding import BoundReward, bind_reward, resolve_reward
from rlkit.rewards.contract import (
    REWARDS,
    as_batch_reward,
    group_reward,
    is_group_reward,
    reward,
    score_groups,
)
from rlkit.rewards.settings import RunSettings

__all__ = [
    "REWARDS",
    "BoundReward",
    "RunSettings",
    "as_batch_reward",
    "bind_reward",
    "group_reward",
    "is_group_reward",
    "resolve_reward",
    "reward",
    "score_groups",
]
