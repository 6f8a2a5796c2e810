"""What plug-ins are held to, for the tests of those who write them."""

from rlkit.testing.check import check_reward, examine_reward
from rlkit.testing.examination import Check, RewardReport

__all__ = ["Check", "RewardReport", "check_reward", "examine_reward"]
