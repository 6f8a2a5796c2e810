"""Pure maths on counts, log-probs and logits: numpy and torch only, no models, no files."""

from rlkit.estimators.classes import hill_number, rarefied_distinct, shannon_entropy
from rlkit.estimators.decomposition import DiversityLoss, split_diversity_loss
from rlkit.estimators.divergence import kl
from rlkit.estimators.intervals import (
    Interval,
    auc_log2,
    mean_interval,
    mean_intervals,
    paired_difference,
    pass_at_k_intervals,
)
from rlkit.estimators.passing import pass_at_k, pass_at_k_curve, pass_at_k_variance
from rlkit.estimators.resampling import bootstrap_means, sign_flip_p_values
from rlkit.estimators.sample_coverage import (
    chao1_classes,
    good_turing_coverage,
    miller_madow_entropy,
    simpson_index,
)
from rlkit.estimators.student_t import student_t_quantile
from rlkit.estimators.token_entropy import entropy_from_logits

__all__ = [
    "DiversityLoss",
    "Interval",
    "auc_log2",
    "bootstrap_means",
    "chao1_classes",
    "entropy_from_logits",
    "good_turing_coverage",
    "hill_number",
    "kl",
    "mean_interval",
    "mean_intervals",
    "miller_madow_entropy",
    "paired_difference",
    "pass_at_k",
    "pass_at_k_curve",
    "pass_at_k_intervals",
    "pass_at_k_variance",
    "rarefied_distinct",
    "shannon_entropy",
    "sign_flip_p_values",
    "simpson_index",
    "split_diversity_loss",
    "student_t_quantile",
]
