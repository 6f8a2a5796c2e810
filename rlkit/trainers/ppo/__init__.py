"""PPO: the GRPO trainer with a critic as the baseline and one advantage a token."""
