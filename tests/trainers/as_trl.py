"""A plugin of pytest under which `from trl import GRPOTrainer, GRPOConfig` gives ours; see test_trls_suite.py."""

from __future__ import annotations

import trl

from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer

trl.GRPOConfig, trl.GRPOTrainer = DiverseGRPOConfig, DiverseGRPOTrainer
