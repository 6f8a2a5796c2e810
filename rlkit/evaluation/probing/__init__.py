"""A checkpoint looked into through the samples of its evaluation: log-probs, distance from a base, weights, states."""

from rlkit.evaluation.probing.probe import probe

__all__ = ["probe"]
