"""Supervised fine-tuning: rows with weights, exact over micro-batches and ranks, on TRL's SFTTrainer."""

from __future__ import annotations
