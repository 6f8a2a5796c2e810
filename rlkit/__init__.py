"""Post-train language models with RL without losing the diversity of their reasoning, and prove it."""

from rlkit.moved import redirect_moved_modules
from rlkit.rewards.contract import group_reward, reward

__all__ = ["__version__", "group_reward", "reward"]
__version__ = "0.1.0"

redirect_moved_modules()
