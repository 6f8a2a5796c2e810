"""The reward contract: what a reward plug-in may look like, and how it is brought to the form that TRL calls."""

from rlkit.rewards.contract import (
    REWARDS,
    as_batch_reward,
    group_reward,
    is_group_reward,
    resolve_reward,
    reward,
    score_groups,
)

__all__ = ["REWARDS", "as_batch_reward", "group_reward", "is_group_reward", "resolve_reward", "reward", "score_groups"]
