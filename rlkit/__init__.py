"""Post-train language models with RL without losing the variety of their reasoning, and prove it."""

from rlkit.rewards.contract import group_reward, reward

__all__ = ["__version__", "group_reward", "reward"]
__version__ = "0.1.0"
