"""Pure maths on counts, log-probs and logits: numpy and torch only, no models, no files."""

from rlkit.estimators.branching import PromptBranching, branching_factor, prompt_branching
from rlkit.estimators.classes import hill_number, rarefied_distinct, shannon_entropy
from rlkit.estimators.crossing import Crossing, crossing_budget, estimate_crossing
from rlkit.estimators.decomposition import DiversityLoss, split_diversity_loss
from rlkit.estimators.divergence import kl
from rlkit.estimators.drop_alarm import OveroptimisationAlarms, drop_alarm, overoptimisation_alarms
from rlkit.estimators.exact_divergence import exact_kl
from rlkit.estimators.intervals import (
    Interval,
    auc_log2,
    mean_interval,
    mean_intervals,
    paired_difference,
    pass_at_k_intervals,
)
from rlkit.estimators.passing import pass_at_k, pass_at_k_curve, pass_at_k_variance
from rlkit.estimators.planning import Needed, plan_for_difference
from rlkit.estimators.ratios import ratio_of_means
from rlkit.estimators.representation_rank import alpha_req, rank_me, rank_me_covariance, singular_spectrum
from rlkit.estimators.resampling import SignFlipTest, bootstrap_means, sign_flip_p_values, sign_flip_test
from rlkit.estimators.simultaneous import holm_p_values, simultaneous_intervals, widen, widening_factors
from rlkit.estimators.student_t import student_t_quantile
from rlkit.estimators.support import (
    Sharpening,
    SupportTable,
    mcnemar_p_value,
    sharpening_index,
    support_table,
    thin_counts,
)
from rlkit.estimators.token_entropy import entropy_from_logits
from rlkit.estimators.token_profiles import position_means, sequence_mean, share_above, token_mean, token_quantiles
from rlkit.estimators.top_k_mass import TopK, entropy_bounds_from_top_k, top_k_of_logps
from rlkit.estimators.weight_change import ChangeCounts, ChangeRank, change_rank

__all__ = [
    "ChangeCounts",
    "ChangeRank",
    "Crossing",
    "DiversityLoss",
    "Interval",
    "Needed",
    "OveroptimisationAlarms",
    "PromptBranching",
    "Sharpening",
    "SignFlipTest",
    "SupportTable",
    "TopK",
    "alpha_req",
    "auc_log2",
    "bootstrap_means",
    "branching_factor",
    "change_rank",
    "crossing_budget",
    "drop_alarm",
    "entropy_bounds_from_top_k",
    "entropy_from_logits",
    "estimate_crossing",
    "exact_kl",
    "hill_number",
    "holm_p_values",
    "kl",
    "mcnemar_p_value",
    "mean_interval",
    "mean_intervals",
    "overoptimisation_alarms",
    "paired_difference",
    "pass_at_k",
    "pass_at_k_curve",
    "pass_at_k_intervals",
    "pass_at_k_variance",
    "plan_for_difference",
    "position_means",
    "prompt_branching",
    "rank_me",
    "rank_me_covariance",
    "rarefied_distinct",
    "ratio_of_means",
    "sequence_mean",
    "shannon_entropy",
    "share_above",
    "sharpening_index",
    "sign_flip_p_values",
    "sign_flip_test",
    "simultaneous_intervals",
    "singular_spectrum",
    "split_diversity_loss",
    "student_t_quantile",
    "support_table",
    "thin_counts",
    "token_mean",
    "token_quantiles",
    "top_k_of_logps",
    "widen",
    "widening_factors",
]
