"""Diversity of an evaluation's outputs: within prompts and across them, over all outputs and over correct ones."""

from rlkit.evaluation.diversity.measuring import HEADLINE, SCOPES, measure_diversity
from rlkit.evaluation.diversity.samples_pass import DiversityConfig

__all__ = ["HEADLINE", "SCOPES", "DiversityConfig", "measure_diversity"]
