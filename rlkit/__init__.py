"""Post-train language models with RL without losing the variety of their reasoning, and prove it."""

__version__ = "0.1.0"
